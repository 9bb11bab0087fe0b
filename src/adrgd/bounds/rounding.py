"""How far float64 rounding can move a bound, as a number to add to it; for small networks (`margins` for others)."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import highest, steepest

UNIT_ROUNDOFF = 2.0**-53
SAFETY = 8.0
EXTRA_OPERATIONS = 16


def rounding_slack(network: Network, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
    """For every stage an outward slack, one number for each of its results, that covers the rounding of their bounds.

    Replace every constant and input by its absolute value, and every activation by its steepest slope and highest
    offset: the sums `M` so obtained are at least the sum of the absolute values of the terms in any bound of this
    package. There is one group of such terms from the box and one from the offsets of each layer passed. A term is a
    product in which every factor, partial sum and slope carries a relative error of at most the unit roundoff, and the
    number of roundings on its way is at most that of the calls of torch that lead there, plus a few for the
    relaxation itself. The first-order error is therefore at most `roundings * unit roundoff * groups * M`. The slack is
    eight times that, which also pays for the second-order terms, for box centres and cuts that are rounded, for
    matrices that were multiplied out, and for bounds that use those of earlier layers.

    Args:
        lower, upper: (inputs,) corners of a box; the slack holds for every box inside it.
    """
    sums: list[Tensor] = []

    def act(layer: int, h: Tensor) -> Tensor:
        curve = network.curves[layer]
        sums.append(h[0])
        return max(1.0, steepest(curve)) * h + highest(curve)

    with torch.no_grad():
        sums.append(network.reach(torch.maximum(lower.abs(), upper.abs())[None], act)[0])
    counts = accumulate(map(max, network.roundings))
    return tuple(
        SAFETY * (roundings + EXTRA_OPERATIONS * groups) * UNIT_ROUNDOFF * groups * total
        for groups, (total, roundings) in enumerate(zip(sums, counts, strict=True), start=1)
    )
