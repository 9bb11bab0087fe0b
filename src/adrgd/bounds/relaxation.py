"""An activation between two straight lines, for every neuron of a layer and every box of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import overload

import torch
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.bounds.curves import Curve, Shape
from adrgd.bounds.hulls import ROUNDED, hull, ranges, steepness
from adrgd.bounds.pairs import Product, across, factors, planes, products, with_zeros

BENT = 1e-7  # apart by less than this share of an interval, two lines are one


@dataclass(frozen=True)
class Relaxation:
    """lower_slope h + lower_offset <= phi(h) <= upper_slope h + upper_offset for all h in [lower, upper].

    All fields have shape (boxes, neurons), or (boxes, 1, neurons) once they are shared by several rows.

    Attributes:
        bent: phi is not straight between the bounds, so that the lines differ.
        above, below: how far the lines are from phi where they are farthest.
        span: the lower slope may be any number between these two without another offset; None where it is fixed.
        cross: (boxes, n) slopes in the second factors of products, whose planes are parallel; None for other layers.
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
    cross: Tensor | None = None

    def take(self, rows: Tensor) -> Relaxation:
        """The relaxation in the boxes with these indices."""
        return self._each(lambda value: value[rows])

    def to(self, dtype: torch.dtype) -> Relaxation:
        """The same in another precision."""
        return self._each(lambda value: value.to(dtype) if value.is_floating_point() else value)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Relaxation:
        fields = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **fields)  # type: ignore[arg-type]


def relax(curve: Shape, lower: Tensor, upper: Tensor) -> Relaxation:
    """Lines around an activation over pre-activations in [lower, upper]."""
    if isinstance(curve, Product):
        return _pairs(lower, upper)
    if isinstance(curve, PiecewiseLinear):
        return _one_hinge(float(curve.slope), float(curve.jumps[0]), lower, upper)
    return _two_lines(lower, upper, *hull(curve, lower, upper))


def image(curve: Shape, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest value of an activation over [lower, upper]."""
    if isinstance(curve, Product):
        return products(lower, upper)
    if isinstance(curve, Curve):
        return ranges(curve, lower, upper)
    values = torch.stack([curve.value(h) for h in (lower, upper, torch.maximum(lower, upper.clamp(max=0)))])
    slack = ROUNDED * (1 + values.abs().amax(0))
    return values.amin(0) - slack, values.amax(0) + slack


def steepest(curve: Shape, lower: Tensor, upper: Tensor) -> Tensor:
    """The largest slope of any of its lines over [lower, upper], without the sign; in each factor of products."""
    if isinstance(curve, Product):
        return factors(lower, upper)
    if isinstance(curve, Curve):
        return steepness(curve, lower, upper)
    return torch.full_like(lower, abs(float(curve.slope)) + abs(float(curve.jumps[0])))


def rise(curve: Shape, steep: Tensor, h: Tensor) -> Tensor:
    """How much lines that are so steep make of pre-activations h >= 0, without the offset."""
    if not isinstance(curve, Product):
        return steep * h
    first, second = (steep * h).chunk(2, -1)
    return with_zeros(first + second)


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


def _two_lines(
    lower: Tensor, upper: Tensor, low_slope: Tensor, low_offset: Tensor, high_slope: Tensor, high_offset: Tensor
) -> Relaxation:
    middle = (lower + upper) / 2
    apart = ((high_slope - low_slope) * middle + high_offset - low_offset).clamp(min=0)
    bent = apart > BENT * (upper - lower) + ROUNDED
    return Relaxation(lower, upper, bent, low_slope, low_offset, high_slope, high_offset, apart, apart)


def _pairs(lower: Tensor, upper: Tensor) -> Relaxation:
    first, second, low, high = planes(lower, upper)
    apart = (high - low).clamp(min=0)
    size = torch.maximum(lower.abs(), upper.abs())
    narrow = apart <= 8 * ROUNDED * (1 + size.chunk(2, -1)[0] * size.chunk(2, -1)[1])
    bent = ~torch.cat([narrow, narrow], -1)
    slope, apart = with_zeros(first), with_zeros(apart)
    return Relaxation(lower, upper, bent, slope, with_zeros(low), slope, with_zeros(high), apart, apart, cross=second)


def below(relaxation: Relaxation, slope: Tensor, h: Tensor) -> Tensor:
    """The lower lines with these slopes at h, (boxes, rows, neurons) both, or without rows."""
    lines = slope * h + across(_behind(relaxation.cross, h), h)
    return lines if relaxation.lower_offset is None else lines + _behind(relaxation.lower_offset, h)


def above(relaxation: Relaxation, h: Tensor) -> Tensor:
    """The upper lines at h, (boxes, rows, neurons) or without rows."""
    lines = torch.addcmul(_behind(relaxation.upper_offset, h), _behind(relaxation.upper_slope, h), h)
    return lines + across(_behind(relaxation.cross, h), h)


@overload
def _behind(value: Tensor, h: Tensor) -> Tensor: ...
@overload
def _behind(value: None, h: Tensor) -> None: ...
def _behind(value: Tensor | None, h: Tensor) -> Tensor | None:
    """With an axis for rows where h has one."""
    return value if value is None or value.ndim == h.ndim else value[:, None]
