"""What is left of a network over one box: only the neurons that bend there, with matrices between them.

Where a neuron does not bend, it is a straight line, and part of the affine maps. Most of a network's neurons are in a
small ball, so that a deep network of convolutions becomes a small one. Inputs count from the middle of the box on: the
numbers that its maps multiply are small ones then, and so are the errors of rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.bounds.backward import Boxes, Goal, backward, goal
from adrgd.bounds.lines import Interval
from adrgd.bounds.margins import UNIT_ROUNDOFF, Margins
from adrgd.bounds.network import Matrices, Network
from adrgd.bounds.relaxation import Relaxation, relax

ENTRIES = 10_000_000  # in all matrices together, at most
SHARE = 0.6  # of all neurons that may bend: above this little is gained
ROWS = 128  # neurons that are followed back at once


@dataclass(frozen=True)
class Reduced:
    """A network over one box.

    Attributes:
        network: of the inputs less those at the middle of the box; same outputs.
        middle: (inputs,) of the box.
        bent: of each layer the numbers of the neurons that are left.
        intervals: of those, (1, neurons) each.
    """

    network: Matrices
    middle: Tensor
    bent: tuple[Tensor, ...]
    intervals: list[Interval]

    def boxes(self, boxes: Boxes) -> Boxes:
        """Copies of its box, as boxes of its network."""
        ball = boxes.ball
        ball = None if ball is None else replace(ball, centre=ball.centre - self.middle)
        infinity = torch.full_like(self.middle, torch.inf)
        lower, upper = boxes.lower - self.middle, boxes.upper - self.middle
        return Boxes(torch.nextafter(lower, -infinity), torch.nextafter(upper, infinity), ball)


def reduced(network: Network, box: Boxes, found: Sequence[Interval]) -> Reduced | None:
    """A network over a single box with the intervals of its layers; None where it would be no smaller."""
    if not all(isinstance(curve, PiecewiseLinear) for curve in network.curves):
        return None
    whole = [relax(curve, *pair) for curve, pair in zip(network.curves, found, strict=True)]
    bent = tuple(one.bent[0].nonzero()[:, 0] for one in whole)
    sizes = [len(own) for own in bent]
    before, entries = network.inputs, 0
    for size in (*sizes, network.outputs):
        entries, before = entries + size * before, before + size
    if entries > ENTRIES or sum(sizes) > SHARE * sum(network.sizes):
        return None
    margins = Margins(network, box.lower, box.upper).extend(found)
    straight = [_without(one) for one in whole]
    stages = [
        _stage(network, stage, own, straight, bent, box, margins)
        for stage, own in enumerate((*bent, torch.arange(network.outputs)))
    ]
    parts = tuple(stage[0] for stage in stages)
    small = Matrices(
        network.inputs, network.outputs, network.curves, tuple(sizes), tuple(stage[1] for stage in stages),
        tuple((sum(one.shape[1] for one in part.values()) + 2, len(constant) + 2) for part, constant, _ in stages),
        parts, tuple({source: one.abs() for source, one in part.items()} for part in parts),
        off=tuple(stage[2] for stage in stages),
    )  # fmt: skip
    intervals = [(low[:, own], high[:, own]) for (low, high), own in zip(found, bent, strict=True)]
    return Reduced(small, box.centre[0], bent, intervals)


def _without(relaxation: Relaxation) -> Relaxation:
    """Its straight lines alone; nothing in place of what bends."""
    slope = relaxation.upper_slope.masked_fill(relaxation.bent, 0.0)
    offset = relaxation.upper_offset.masked_fill(relaxation.bent, 0.0)
    return replace(relaxation, lower_slope=slope, lower_offset=None, upper_slope=slope, upper_offset=offset)


def _stage(
    network: Network, stage: int, own: Tensor, straight: list[Relaxation], bent: Sequence[Tensor], box: Boxes,
    margins: Margins,
) -> tuple[dict[int, Tensor], Tensor, Tensor]:  # fmt: skip
    """Matrices, constants, and how far off they are, of some of a stage's results."""
    parts: dict[int, list[Tensor]] = {}
    constants, off = [own.new_zeros(0, dtype=torch.float64)], [own.new_zeros(0, dtype=torch.float64)]
    size = len(network.constants[stage])
    for some in torch.split(own, ROWS) if len(own) else ():
        rows = torch.nn.functional.one_hot(some, size).to(torch.float64)[None]
        exact = goal(network, stage, rows, rows.new_zeros(1, len(some)))
        wanted = Goal(stage, exact.parts, exact.offset - margins.steps[stage][some])
        linear, coefficients = backward(network, wanted, straight, box, margins=margins)
        plain, _ = backward(network, exact, straight, box)
        at_middle = linear.slope[0] @ box.centre[0]
        constants.append(plain.offset[0] + at_middle)
        sizes = linear.slope[0].abs() @ box.centre[0].abs() + plain.offset[0].abs()
        off.append(1.01 * (plain.offset - linear.offset)[0] + (16 + network.inputs) * 4 * UNIT_ROUNDOFF * sizes)
        parts.setdefault(0, []).append(linear.slope[0])
        for layer, part in enumerate(coefficients[:stage]):
            found = part[0, :, bent[layer]] if part is not None else rows.new_zeros(len(some), len(bent[layer]))
            parts.setdefault(layer + 1, []).append(found)
    joined = {source: torch.cat(pieces) for source, pieces in parts.items()}
    return {source: one for source, one in joined.items() if one.any()}, torch.cat(constants), torch.cat(off)
