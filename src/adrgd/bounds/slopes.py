"""Better lower slopes for a given function: alpha-CROWN's optimisation, without a learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Coefficients, Goal, LinearBound, backward
from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import Relaxation


def tighten(
    network: Network, wanted: Goal, relaxations: Sequence[Relaxation], boxes: Boxes, *, steps: int
) -> tuple[LinearBound, Coefficients]:
    """Lower bounds of linear functions with better slopes, and the coefficients of the last of them.

    At the minimiser of the linear bound, the slope that raises it is the largest where the relaxed pre-activation is
    positive and the least elsewhere (the sign of a subgradient of the dual). Each step moves the slopes half-way
    there, so that they settle in between for neurons that keep changing their mind. Every iterate is a valid bound; the
    best is kept.
    """
    slopes = {k: relaxation.lower_slope[:, None] for k, relaxation in enumerate(relaxations) if relaxation.span}
    best, coefficients = backward(network, wanted, relaxations, boxes)
    current = best
    for _ in range(steps):
        points = current.vertex(boxes)
        slopes = _towards_signs(network, points, relaxations, slopes, coefficients)
        current, coefficients = backward(network, wanted, relaxations, boxes, slopes=slopes)
        best = best.better_of(current)
    return best, coefficients


def _towards_signs(
    network: Network, points: Tensor, relaxations: Sequence[Relaxation], slopes: dict[int, Tensor],
    coefficients: Coefficients,
) -> dict[int, Tensor]:  # fmt: skip
    """Run points (boxes, rows, inputs) along the lines in use, and move free slopes half-way to the signs they meet."""
    moved: dict[int, Tensor] = {}

    def act(layer: int, flat: Tensor) -> Tensor:
        h = flat.view(*points.shape[:2], -1)
        relaxation = relaxations[layer]
        lower_slope = slopes.get(layer, relaxation.lower_slope[:, None])
        if relaxation.span is not None:
            low, high = relaxation.span
            target = (lower_slope + torch.where(h > 0, high, low)) / 2
            moved[layer] = torch.where(relaxation.bent[:, None], target, lower_slope)
        below = lower_slope * h
        if relaxation.lower_offset is not None:
            below = below + relaxation.lower_offset[:, None]
        rows = coefficients[layer]
        if rows is None:
            return below.flatten(0, 1)
        above = torch.addcmul(relaxation.upper_offset[:, None], relaxation.upper_slope[:, None], h)
        return torch.where(rows > 0, below, above).flatten(0, 1)

    network.walk(points.flatten(0, 1), act)
    return moved
