"""Better lower slopes for a given function: alpha-CROWN's optimisation, without a learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Coefficients, Goal, LinearBound, backward
from adrgd.bounds.margins import Margins
from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import Relaxation, above, below

Slopes = Mapping[int, Tensor]
"""Lower slopes of some layers (boxes, rows, neurons), or with 1 instead of all rows."""


def free_slopes(relaxations: Sequence[Relaxation]) -> dict[int, Tensor]:
    """The slopes that may be chosen, as they are to begin with."""
    return {k: relaxation.lower_slope[:, None] for k, relaxation in enumerate(relaxations) if relaxation.span}


def tighten(
    network: Network, wanted: Goal, relaxations: Sequence[Relaxation], boxes: Boxes, *, steps: int,
    margins: Margins | None = None,
) -> tuple[LinearBound, Coefficients]:  # fmt: skip
    """Lower bounds of linear functions with better slopes, and the coefficients of the last of them.

    At the minimiser of the linear bound, the slope that raises it is the largest where the relaxed pre-activation is
    positive and the least elsewhere (the sign of a subgradient of the dual). Each step moves the slopes half-way
    there, so that they settle in between for neurons that keep changing their mind. Every iterate is a valid bound; the
    best is kept.
    """
    slopes = free_slopes(relaxations)
    best, coefficients = backward(network, wanted, relaxations, boxes, margins=margins)
    current = best
    for _ in range(steps):
        met = along_lines(network, wanted.stage, current.vertex(boxes), relaxations, slopes, coefficients)
        for layer, slope in slopes.items():
            low, high = relaxations[layer].span or (0.0, 0.0)
            target = (slope + torch.where(met[layer] > 0, high, low)) / 2
            slopes[layer] = torch.where(relaxations[layer].bent[:, None], target, slope)
        current, coefficients = backward(network, wanted, relaxations, boxes, slopes=slopes, margins=margins)
        best = best.better_of(current)
    return best, coefficients


def along_lines(
    network: Network, stage: int, points: Tensor, relaxations: Sequence[Relaxation], slopes: Slopes,
    coefficients: Coefficients,
) -> list[Tensor]:  # fmt: skip
    """Run points (boxes, rows, inputs) along the lines in use, up to a stage.

    Returns:
        The pre-activations (boxes, rows, neurons) of each layer before it.

    They are the derivatives of the bounds at their minimisers: of the slopes, up to the neurons' coefficients, and of
    the multipliers of pre-activations.
    """
    met: list[Tensor] = []

    def act(layer: int, flat: Tensor) -> Tensor:
        h = flat.view(*points.shape[:2], -1)
        met.append(h)
        relaxation, rows = relaxations[layer], coefficients[layer]
        low = below(relaxation, slopes.get(layer, relaxation.lower_slope[:, None]), h)
        if rows is None:
            return low.flatten(0, 1)
        return torch.where(rows > 0, low, above(relaxation, h)).flatten(0, 1)

    network.walk(points.flatten(0, 1).to(network.dtype), act, stage)
    return met
