"""A linear function above a scalar network on each box, and the best slopes for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.exact.affine import Mlp
from adrgd.exact.relaxation import Relaxation


@dataclass(frozen=True)
class LinearBound:
    """`network(x) <= slope . x + offset` on a box, and the maximum of the right-hand side over that box.

    Attributes:
        bound: the maximum, (boxes,).
        slope: (boxes, inputs).
        offset: (boxes,).
        vertex: the corner of the box where the maximum is taken, (boxes, inputs).
    """

    bound: Tensor
    slope: Tensor
    offset: Tensor
    vertex: Tensor

    def take(self, rows: Tensor) -> LinearBound:
        """The bounds of the boxes with these indices."""
        return LinearBound(self.bound[rows], self.slope[rows], self.offset[rows], self.vertex[rows])

    def better_of(self, other: LinearBound) -> LinearBound:
        """For each box the bound with the smaller maximum."""
        won = other.bound < self.bound
        column = won[:, None]
        return LinearBound(
            torch.where(won, other.bound, self.bound),
            torch.where(column, other.slope, self.slope),
            torch.where(column, other.offset[:, None], self.offset[:, None]).squeeze(1),
            torch.where(column, other.vertex, self.vertex),
        )


def bound_above(mlp: Mlp, lower: Tensor, upper: Tensor, relaxations: Sequence[Relaxation], slack: float) -> LinearBound:
    """Bound a scalar network over the boxes [lower, upper], both (boxes, inputs), by one backward pass."""
    bound, _ = _backward(mlp, lower, upper, relaxations, [relaxation.lower_slope for relaxation in relaxations], slack)
    return bound


def tighten(
    mlp: Mlp,
    lower: Tensor,
    upper: Tensor,
    relaxations: Sequence[Relaxation],
    slack: float,
    *,
    start: LinearBound,
    steps: int,
) -> LinearBound:
    """Improve `start` by better lower slopes for the unstable neurons.

    At the maximiser of the linear bound, the slope that lowers it is 1 where the relaxed pre-activation is positive
    and 0 elsewhere (the sign of a subgradient of the dual). Each step moves the slopes half-way there, so that they
    settle between 0 and 1 for neurons that keep changing their mind. Every iterate is a valid bound; the best is kept.
    """
    best = start
    slopes = [relaxation.lower_slope for relaxation in relaxations]
    current, coefficients = _backward(mlp, lower, upper, relaxations, slopes, slack)
    for _ in range(steps):
        slopes = _towards_signs(mlp, current.vertex, relaxations, slopes, coefficients)
        current, coefficients = _backward(mlp, lower, upper, relaxations, slopes, slack)
        best = best.better_of(current)
    return best


def _backward(
    mlp: Mlp,
    lower: Tensor,
    upper: Tensor,
    relaxations: Sequence[Relaxation],
    slopes: Sequence[Tensor],
    slack: float,
) -> tuple[LinearBound, list[Tensor]]:
    """The linear bound with the given lower slopes, and the coefficient of every ReLU output in it, first to last."""
    row = mlp.weights[-1]
    offset = (mlp.biases[-1] + slack).expand(lower.shape[0])
    coefficients = []
    for index in range(mlp.hidden - 1, -1, -1):
        relaxation = relaxations[index]
        coefficients.append(row)
        offset = offset + (row.clamp(min=0) * relaxation.upper_offset).sum(1)
        row = row * torch.where(row > 0, relaxation.upper_slope, slopes[index])
        offset = offset + row @ mlp.biases[index]
        row = row @ mlp.weights[index]
    slope = row.expand_as(lower)
    vertex = torch.where(slope > 0, upper, lower)
    bound = (slope * vertex).sum(1) + offset
    return LinearBound(bound, slope, offset, vertex), coefficients[::-1]


def _towards_signs(
    mlp: Mlp,
    points: Tensor,
    relaxations: Sequence[Relaxation],
    slopes: Sequence[Tensor],
    coefficients: Sequence[Tensor],
) -> list[Tensor]:
    """Run the points forward along the lines in use; move every free slope half-way to the sign it meets."""
    moved = []
    for index, (relaxation, slope) in enumerate(zip(relaxations, slopes, strict=True)):
        points = torch.addmm(mlp.biases[index], points, mlp.weights[index].T)
        target = (slope + (points > 0)) / 2
        moved.append(torch.where(relaxation.unstable, target, slope))
        if index + 1 < mlp.hidden:
            line = torch.addcmul(relaxation.upper_offset, relaxation.upper_slope, points)
            points = torch.where(coefficients[index] > 0, line, slope * points)
    return moved
