"""How far float64 rounding can move a bound, as a number to add to it; for small networks (`margins` for others)."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.bounds.backward import Boxes
from adrgd.bounds.lines import Interval
from adrgd.bounds.margins import UNIT_ROUNDOFF
from adrgd.bounds.network import Network
from adrgd.bounds.ranges import affine_range
from adrgd.bounds.relaxation import image, rise, steepest

SAFETY = 8.0
EXTRA_OPERATIONS = 16
WIDER = 1e-6  # of an interval's size, so that it holds its own rounding


def rounding_slack(network: Network, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
    """For every stage an outward slack, one number for each of its results, that covers the rounding of their bounds.

    Replace every constant and input by its absolute value, and every activation by its steepest slope over the box and
    the highest offset of its lines: the sums `M` so obtained are at least the sum of the absolute values of the terms
    in any bound of this
    package. There is one group of such terms from the box and one from the offsets of each layer passed. A term is a
    product in which every factor, partial sum and slope carries a relative error of at most the unit roundoff, and the
    number of roundings on its way is at most that of the calls of torch that lead there, plus a few for the
    relaxation itself. The first-order error is therefore at most `roundings * unit roundoff * groups * M`. The slack is
    eight times that, which also pays for the second-order terms, for box centres and cuts that are rounded, for
    matrices that were multiplied out, and for bounds that use those of earlier layers.

    Args:
        lower, upper: (inputs,) corners of a box; the slack holds for every box inside it.
    """
    box = Boxes(lower[None], upper[None])
    corner = torch.maximum(lower.abs(), upper.abs())[None]
    sums: list[Tensor] = []
    lines: list[tuple[Tensor, Tensor]] = []
    found: list[Interval] = []
    with torch.no_grad():
        for stage in range(len(network.sizes) + 1):
            total = network.reach(
                corner, lambda layer, h: rise(network.curves[layer], lines[layer][0], h) + lines[layer][1], stage
            )
            sums.append(total[0])
            if stage < len(network.sizes):
                low, high = affine_range(network, stage, box, found)
                wider = WIDER * (1 + torch.maximum(low.abs(), high.abs()))
                found.append((low - wider, high + wider))
                lines.append(_lines(network, stage, found[-1]))
    counts = accumulate(map(max, network.roundings))
    return tuple(
        SAFETY * (roundings + EXTRA_OPERATIONS * groups) * UNIT_ROUNDOFF * groups * total
        for groups, (total, roundings) in enumerate(zip(sums, counts, strict=True), start=1)
    )


def _lines(network: Network, layer: int, interval: Interval) -> tuple[Tensor, Tensor]:
    """The steepest slope, and the highest offset beyond it, of any lines around a layer."""
    curve = network.curves[layer]
    steep = steepest(curve, *interval).clamp(min=1.0)
    if isinstance(curve, PiecewiseLinear):  # its lines pass through zero, or begin at a pre-activation
        return steep, torch.zeros_like(steep)
    ends = image(curve, *interval)
    return 2 * steep, torch.maximum(ends[0].abs(), ends[1].abs())
