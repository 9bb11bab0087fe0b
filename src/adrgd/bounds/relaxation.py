"""An activation between two straight lines, for every neuron of a layer and every box of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.activations.sshaped import SShaped
from adrgd.bounds.network import Curve

ROUNDED = 1e-13  # relative to its height: how far an S-shaped curve may be off where it is computed


@dataclass(frozen=True)
class Relaxation:
    """lower_slope h + lower_offset <= phi(h) <= upper_slope h + upper_offset for all h in [lower, upper].

    All fields have shape (boxes, neurons), or (boxes, 1, neurons) once they are shared by several rows.

    Attributes:
        bent: phi is not straight between the bounds, so that the lines differ.
        above, below: how far the lines are from phi where they are farthest.
        span: the lower slope may be any number between these two without another offset; None where it is fixed.
    """

    lower: Tensor
    upper: Tensor
    bent: Tensor
    lower_slope: Tensor
    lower_offset: Tensor | None
    upper_slope: Tensor
    upper_offset: Tensor
    above: Tensor
    below: Tensor
    span: tuple[float, float] | None = None

    def take(self, rows: Tensor) -> Relaxation:
        """The relaxation in the boxes with these indices."""
        return self._each(lambda value: value[rows])

    def to(self, dtype: torch.dtype) -> Relaxation:
        """The same in another precision."""
        return self._each(lambda value: value.to(dtype) if value.is_floating_point() else value)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Relaxation:
        fields = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **fields)  # type: ignore[arg-type]


def relax(curve: Curve, lower: Tensor, upper: Tensor) -> Relaxation:
    """Lines around an activation over pre-activations in [lower, upper]."""
    if isinstance(curve, SShaped):
        return _s_shaped(curve, lower, upper)
    if curve.breaks == (0.0,) and not curve.offset and float(curve.jumps[0]) > 0:
        return _one_hinge(float(curve.slope), float(curve.jumps[0]), lower, upper)
    return _hinges(curve, lower, upper)


def image(curve: Curve, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest value of an activation over [lower, upper]: at an end, or where it bends."""
    inside = [torch.maximum(lower, upper.clamp(max=at)) for at in getattr(curve, "breaks", ())]
    values = torch.stack([curve.value(h) for h in (lower, upper, *inside)])
    slack = ROUNDED * (1 + values.abs().amax(0))
    return values.amin(0) - slack, values.amax(0) + slack


def steepest(curve: Curve) -> float:
    """The largest slope of any of its lines, without the sign."""
    if isinstance(curve, SShaped):
        return curve.height / (4 * curve.width)
    return abs(float(curve.slope)) + sum(abs(float(jump)) for jump in curve.jumps)


def highest(curve: Curve) -> float:
    """A bound on the offsets of its lines beyond what its steepest slope makes of the pre-activations."""
    if isinstance(curve, SShaped):
        return curve.height + abs(curve.base)
    return abs(curve.offset) + sum(abs(float(jump) * at) for at, jump in zip(curve.breaks, curve.jumps, strict=True))


def _triangle(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where relu bends, and the slope and the offset of the line above it."""
    below, above = lower.clamp(max=0), upper.clamp(min=0)
    bent = (lower < 0) & (upper > 0)
    slope = torch.where(bent, above / (above - below), (lower >= 0).to(lower.dtype))
    return bent, slope, torch.where(bent, -slope * below, 0.0)


def _one_hinge(slope: float, jump: float, lower: Tensor, upper: Tensor) -> Relaxation:
    """ReLU and LeakyReLU: the line above is a chord; below, either side's own line or any between them."""
    bent, upper_slope, upper_offset = _triangle(lower, upper)
    lower_slope = torch.where(bent, (upper > -lower).to(lower.dtype), upper_slope)
    below = torch.where(bent, torch.minimum(upper, -lower), 0.0)
    if (slope, jump) != (0.0, 1.0):
        upper_slope, lower_slope = slope + jump * upper_slope, slope + jump * lower_slope
        upper_offset, below = jump * upper_offset, jump * below
    return Relaxation(
        lower, upper, bent, lower_slope, None, upper_slope, upper_offset, upper_offset, below, (slope, slope + jump)
    )


def _hinges(curve: PiecewiseLinear, lower: Tensor, upper: Tensor) -> Relaxation:
    """A sum of hinges is between the sums of their lines."""
    bent = torch.zeros_like(lower, dtype=torch.bool)
    low_slope, high_slope = (torch.full_like(lower, float(curve.slope)) for _ in range(2))
    low_offset, high_offset = (torch.full_like(lower, curve.offset) for _ in range(2))
    for at, number in zip(curve.breaks, curve.jumps, strict=True):
        jump = float(number)
        bends, chord, offset = _triangle(lower - at, upper - at)
        side = torch.where(bends, (upper + lower > 2 * at).to(lower.dtype), chord)
        chord_offset, side_offset = jump * (offset - chord * at), -jump * side * at
        chord, side = jump * chord, jump * side
        if jump < 0:
            chord, side, chord_offset, side_offset = side, chord, side_offset, chord_offset
        low_slope, high_slope = low_slope + side, high_slope + chord
        low_offset, high_offset = low_offset + side_offset, high_offset + chord_offset
        bent = bent | bends
    return _two_lines(lower, upper, bent, low_slope, low_offset, high_slope, high_offset)


def _s_shaped(curve: SShaped, lower: Tensor, upper: Tensor) -> Relaxation:
    """Sigmoid and tanh: the chord on the side where the curve bends away from it, else a line of its least slope.

    The curve's slope grows up to zero and falls from there, so that its least slope in an interval is at an end.
    """
    at_lower, at_upper = curve.value(lower), curve.value(upper)

    def slope_at(value: Tensor) -> Tensor:
        share = (value + curve.base) / curve.height
        return curve.height / curve.width * share * (1 - share)

    least = torch.minimum(slope_at(at_lower), slope_at(at_upper)).clamp(min=0) * (1 - 1e-9)
    width = upper - lower
    bent = width > 0
    chord = torch.where(bent, (at_upper - at_lower) / torch.where(bent, width, 1.0), least)
    low_slope, high_slope = torch.where(lower >= 0, chord, least), torch.where(upper <= 0, chord, least)
    slack = ROUNDED * (curve.height + abs(curve.base))
    # a chord that is off by its own rounding still passes both ends within the slack
    low_offset = torch.minimum(at_lower - low_slope * lower, at_upper - low_slope * upper) - slack
    high_offset = torch.maximum(at_upper - high_slope * upper, at_lower - high_slope * lower) + slack
    return _two_lines(lower, upper, bent, low_slope, low_offset, high_slope, high_offset)


def _two_lines(
    lower: Tensor, upper: Tensor, bent: Tensor, low_slope: Tensor, low_offset: Tensor, high_slope: Tensor,
    high_offset: Tensor,
) -> Relaxation:  # fmt: skip
    middle = (lower + upper) / 2
    apart = ((high_slope - low_slope) * middle + high_offset - low_offset).clamp(min=0)
    return Relaxation(lower, upper, bent, low_slope, low_offset, high_slope, high_offset, apart, apart)
