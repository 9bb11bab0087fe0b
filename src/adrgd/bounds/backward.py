"""Linear functions of a stage's results, followed back to the network's input (Zhang et al. 2018, CROWN).

Layer by layer, each activation is replaced by the one of its two lines that keeps the inequality, down to the input,
where a linear function over a box is bounded exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.bounds.balls import Ball
from adrgd.bounds.margins import UNIT_ROUNDOFF, Margins
from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import Relaxation


@dataclass(frozen=True)
class Boxes:
    """A batch of boxes: corners (boxes, inputs); with a ball, of the parts of them that lie in it."""

    lower: Tensor
    upper: Tensor
    ball: Ball | None = None

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def centre(self) -> Tensor:
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        return (self.upper - self.lower) / 2

    def take(self, rows: Tensor) -> Boxes:
        """The boxes with these indices."""
        return Boxes(self.lower[rows], self.upper[rows], None if self.ball is None else self.ball.take(rows))

    def least(self, slope: Tensor, offset: Tensor) -> Tensor:
        """The minimum of linear functions (boxes, rows, inputs) and (boxes, rows)."""
        if self.ball is not None:
            return offset + self.ball.least(slope, self.lower, self.upper)
        middle = torch.bmm(slope, self.centre[:, :, None])[:, :, 0]
        return offset + middle - torch.bmm(slope.abs(), self.radius[:, :, None])[:, :, 0]


@dataclass(frozen=True)
class LinearBound:
    """slope x + offset <= what was asked for, for all x in the box, and the least value of that over the box.

    Attributes:
        value: (boxes, rows), what rounding can be worth not yet taken off, unless there were margins.
        slope: (boxes, rows, inputs).
        offset: (boxes, rows).
    """

    value: Tensor
    slope: Tensor
    offset: Tensor

    def take(self, rows: Tensor) -> LinearBound:
        """The bounds of the boxes with these indices."""
        return LinearBound(self.value[rows], self.slope[rows], self.offset[rows])

    def better_of(self, other: LinearBound) -> LinearBound:
        """Row by row the larger of two."""
        won = other.value > self.value
        return LinearBound(
            torch.where(won, other.value, self.value),
            torch.where(won[..., None], other.slope, self.slope),
            torch.where(won, other.offset, self.offset),
        )

    def vertex(self, boxes: Boxes) -> Tensor:
        """The corner, or the point of the ball, where the value is taken: (boxes, rows, inputs)."""
        if boxes.ball is not None:
            return boxes.ball.minimiser(self.slope, boxes.lower, boxes.upper)
        return torch.where(self.slope > 0, boxes.lower[:, None], boxes.upper[:, None])


@dataclass(frozen=True)
class Goal:
    """Linear functions to bound from below, one a row, as functions of what feeds a stage.

    Attributes:
        stage: the layers before it are passed.
        parts: of each source (boxes, rows, size).
        offset: (boxes, rows).
    """

    stage: int
    parts: Mapping[int, Tensor]
    offset: Tensor

    def take(self, rows: Tensor) -> Goal:
        """The functions for the boxes with these indices."""
        return Goal(self.stage, {source: part[rows] for source, part in self.parts.items()}, self.offset[rows])


def goal(
    network: Network, stage: int, rows: Tensor, offset: Tensor, on_inputs: Tensor | None = None,
    margins: Margins | None = None,
) -> Goal:  # fmt: skip
    """rows y + on_inputs x + offset of a stage's results y and the network's input x, all (boxes, rows, ...)."""
    parts = dict(network.pull(stage, rows.to(network.dtype)))
    total = offset + rows @ network.constants[stage]
    if margins is not None:
        total = total - rows.abs() @ margins.steps[stage] - 4 * UNIT_ROUNDOFF * offset.abs()
    if on_inputs is not None:
        cast = on_inputs.to(network.dtype)
        parts[0] = parts[0] + cast if 0 in parts else cast
        if margins is not None:
            total = total - on_inputs.abs() @ margins.given
    return Goal(stage, parts, total)


def both_sides(network: Network, stage: int, chosen: Tensor, margins: Margins | None = None) -> Goal:
    """The results with the numbers `chosen` (boxes, rows), and then the same again with the opposite sign."""
    offset = network.constants[stage][chosen]
    parts = {source: torch.cat([part, -part], 1) for source, part in network.pick(stage, chosen).items()}
    offset = torch.cat([offset, -offset], 1)
    if margins is not None:
        offset = offset - margins.steps[stage][chosen].repeat(1, 2)
    return Goal(stage, parts, offset)


Coefficients = list[Tensor | None]
"""Of each layer's outputs (boxes, rows, neurons) in the function as it was when it came to them."""


def backward(
    network: Network,
    wanted: Goal,
    relaxations: Sequence[Relaxation],
    boxes: Boxes,
    *,
    slopes: Mapping[int, Tensor] | None = None,
    tilts: Mapping[int, Tensor] | None = None,
    margins: Margins | None = None,
) -> tuple[LinearBound, Coefficients]:
    """Lower bounds of linear functions over boxes.

    Args:
        relaxations: of the layers before the goal's stage.
        slopes: (boxes, rows, neurons) lower slopes to use instead, for some layers.
        tilts: (boxes, rows, neurons) numbers to add to the coefficients of a layer's pre-activations: multipliers of
            what is known of their signs.
        margins: of this network, to take off what rounding can be worth.
    """
    total, gathered = wanted.offset, dict(wanted.parts)
    coefficients: Coefficients = [None] * len(network.sizes)
    for layer in range(min(wanted.stage, len(network.sizes)) - 1, -1, -1):
        rows = gathered.pop(layer + 1, None)
        tilt = None if tilts is None else tilts.get(layer)
        if rows is None:
            if tilt is None:
                continue
            rows = torch.zeros_like(tilt)
        coefficients[layer] = rows
        relaxation = relaxations[layer]
        negative = rows.clamp(max=0)
        lower_slope = relaxation.lower_slope[:, None] if slopes is None or layer not in slopes else slopes[layer]
        total = total + _dot(negative, relaxation.upper_offset)
        if relaxation.lower_offset is not None:
            total = total + _dot(rows - negative, relaxation.lower_offset)
        if margins is not None:
            total = total - _dot(rows.abs(), margins.lines[layer].expand(len(rows), -1))
        # the lower slope everywhere, and what the upper one differs by where the coefficient is negative
        before = torch.addcmul(rows * lower_slope, negative, relaxation.upper_slope[:, None] - lower_slope)
        if relaxation.cross is not None:
            half = relaxation.cross.shape[-1]
            before[..., half:] += rows[..., :half] * relaxation.cross[:, None]
        if tilt is not None:
            before = before + tilt
        total = total + before.to(torch.float64) @ network.constants[layer]
        if margins is not None:
            total = total - _dot(before.abs(), margins.steps[layer].expand(len(rows), -1))
        for source, part in network.pull(layer, before).items():
            gathered[source] = gathered[source] + part if source in gathered else part
    slope = gathered.get(0)
    if slope is None:
        slope = total.new_zeros(*total.shape, network.inputs)
    slope = slope.to(torch.float64)
    if margins is not None:
        total = total - _dot(slope.abs(), margins.inputs.expand(len(slope), -1))
    return LinearBound(boxes.least(slope, total), slope, total), coefficients


def _dot(rows: Tensor, numbers: Tensor) -> Tensor:
    """(boxes, rows, size) times (boxes, size), added up in double precision."""
    return torch.bmm(rows.to(torch.float64), numbers[:, :, None].to(torch.float64))[:, :, 0]
