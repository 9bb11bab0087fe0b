"""Slopes and multipliers of what is known of neurons' signs, optimised together (Wang et al. 2021, beta-CROWN).

A part of a problem where a neuron is known to be on one side of its bend is described by that sign. Any multiple of
the pre-activation, with the sign that makes it no help, may be added to the function that is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Coefficients, Goal, LinearBound, backward
from adrgd.bounds.margins import Margins
from adrgd.bounds.mixture import shifted, with_sum
from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import Relaxation
from adrgd.bounds.slopes import along_lines

RATE, LEFT = 0.5, 0.05  # of the first step, and the share of it that is left at the last
FIRST, SECOND = 0.8, 0.95  # how long Adam remembers gradients and their squares
TINY = 1e-12


@dataclass
class Multipliers:
    """What is optimised.

    Attributes:
        slopes: lower slopes of some layers, (parts, rows, neurons).
        sides: of some layers (parts, neurons): -1 where the pre-activation is known not to be negative, 1 where it is
            known not to be positive, 0 where nothing is known.
        weights: of those, (parts, rows, neurons), not negative.
        sums: (parts, functions) multipliers of the functions in their sum, which is one row more; None without it.
    """

    slopes: dict[int, Tensor]
    sides: dict[int, Tensor]
    weights: dict[int, Tensor]
    sums: Tensor | None = None

    def take(self, rows: Tensor) -> Multipliers:
        """Those of the parts with these indices."""
        slopes, sides, weights = (
            {layer: value[rows] for layer, value in part.items()} for part in (self.slopes, self.sides, self.weights)
        )
        return Multipliers(slopes, sides, weights, None if self.sums is None else self.sums[rows])

    def to(self, dtype: torch.dtype) -> Multipliers:
        """The same in another precision, but for the sums."""
        slopes, sides, weights = (
            {layer: value.to(dtype) for layer, value in part.items()}
            for part in (self.slopes, self.sides, self.weights)
        )
        return Multipliers(slopes, sides, weights, self.sums)

    def goal(self, wanted: Goal) -> Goal:
        """The functions, and their sum behind them where there is one."""
        return wanted if self.sums is None else with_sum(wanted, self.sums)

    def tilts(self) -> dict[int, Tensor]:
        """What to add to the coefficients of pre-activations."""
        return {layer: side[:, None] * self.weights[layer] for layer, side in self.sides.items()}


class _Adam:
    """Steps of about one unit along gradients, coordinate by coordinate."""

    def __init__(self) -> None:
        self.mean: dict[int, Tensor] = {}
        self.square: dict[int, Tensor] = {}

    def step(self, key: int, gradient: Tensor, t: int) -> Tensor:
        mean = self.mean.get(key, torch.zeros(())) * FIRST + (1 - FIRST) * gradient
        square = self.square.get(key, torch.zeros(())) * SECOND + (1 - SECOND) * gradient * gradient
        self.mean[key], self.square[key] = mean, square
        return mean / (1 - FIRST ** (t + 1)) / ((square / (1 - SECOND ** (t + 1))).sqrt() + TINY)


def optimise(
    network: Network,
    wanted: Goal,
    relaxations: Sequence[Relaxation],
    boxes: Boxes,
    chosen: Multipliers,
    margins: Margins | None,
    *,
    steps: int,
    enough: Tensor,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[LinearBound, Coefficients]:
    """Raise lower bounds of linear functions by `chosen`, which is changed; the best bounds.

    Args:
        wanted: the functions; with `chosen.sums` their sum is one row more of all results.
        margins: what rounding is worth, to be taken off the bounds.
        enough: (parts, rows) values from which on a bound is high enough.
        stop: asked before each step.
    """
    slope_steps, weight_steps = _Adam(), _Adam()
    best: LinearBound | None = None
    for t in range(steps + 1):
        linear, coefficients = backward(
            network,
            chosen.goal(wanted),
            relaxations,
            boxes,
            slopes=chosen.slopes,
            tilts=chosen.tilts(),
            margins=margins,
        )
        best = linear if best is None else best.better_of(linear)
        if t == steps or stop() or bool((best.value > enough).any(1).all()):
            break
        vertex = linear.vertex(boxes)
        met = along_lines(network, wanted.stage, vertex, relaxations, chosen.slopes, coefficients)
        rate = RATE * LEFT ** (t / steps)
        if chosen.sums is not None:
            chosen.sums = shifted(chosen.sums, wanted, vertex, met, relaxations, chosen.slopes, coefficients, rate=rate)
        for layer, slope in chosen.slopes.items():
            relaxation, rows = relaxations[layer], coefficients[layer]
            if rows is None or relaxation.span is None:
                continue
            low, high = relaxation.span
            gradient = torch.where(relaxation.bent[:, None], rows.clamp(min=0) * met[layer], 0.0)
            moved = slope + rate * (high - low) * slope_steps.step(layer, gradient, t)
            chosen.slopes[layer] = moved.clamp(low, high)
        for layer, side in chosen.sides.items():
            rows = coefficients[layer]
            size = torch.ones(1) if rows is None else rows.abs()
            unit = size + 0.1 * size.amax(-1, keepdim=True)
            gradient = side[:, None] * met[layer]
            moved = chosen.weights[layer] + rate * unit * weight_steps.step(layer, gradient, t)
            chosen.weights[layer] = moved.clamp(min=0) * side.abs()[:, None]
    if best is None:
        raise ValueError("at least one bound is asked for")
    return best, coefficients
