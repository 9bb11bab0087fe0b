"""Activations made of straight and quadratic pieces that may jump: hardswish, hardshrink, threshold, relu squared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.normal import PEAK, bell, chance_, deviation
from adrgd.activations.slopes import Factor


@dataclass(frozen=True)
class Break:
    """What changes at one point of a piecewise quadratic function.

    Attributes:
        at: the point.
        jump: by how much the value rises there.
        bend: by how much the slope does.
        curve: by how much the second derivative does.
    """

    at: float
    jump: float = 0.0
    bend: float = 0.0
    curve: float = 0.0


@dataclass(frozen=True)
class PiecewiseQuadratic:
    """A function with slope `slope` far on the left, where it is straight, and these breaks.

    Under noise, with w = (h - at) / s, a bend passes with the chance Phi(w), a jump as the density of the noise, and
    a curve adds (h - at) Phi(w) + s density(w).
    """

    name: str
    function: Callable[[Tensor], Tensor]
    breaks: tuple[Break, ...]
    slope: float = 0.0

    is_relu = False

    @property
    def is_flat(self) -> bool:
        return self.slope == 0 and not any(b.bend or b.curve for b in self.breaks)

    def value(self, h: Tensor) -> Tensor:
        return self.function(h)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        s = deviation(inverse, left)
        narrow = s.reciprocal()
        slope = h.new_full(h.shape, self.slope)
        rate, swing, leap = _Sum(), _Sum(), _Sum()
        for b in self.breaks:
            w = torch.sub(h, b.at).mul_(narrow) if b.at else torch.mul(h, narrow)
            if b.jump or b.curve:
                density = bell(w)
                swing.add(density, PEAK * b.curve)
                leap.add(density, PEAK * b.jump)
            if b.bend or b.curve:
                chance = chance_(w)
                rate.add(chance, b.curve)
                slope.add_(chance, alpha=b.bend - b.curve * b.at)
        # each sum over the breaks comes first: far outside the terms cancel there without rounding
        for total, factor in ((rate, h), (swing, s), (leap, narrow)):
            if total.value is not None:
                slope.addcmul_(total.value, factor)
        return Factor(slope)


class _Sum:
    """A weighted sum of tensors, None while it is empty."""

    value: Tensor | None = None

    def add(self, part: Tensor, weight: float) -> None:
        if weight:
            self.value = part * weight if self.value is None else self.value.add_(part, alpha=weight)


def hardshrink(lambd: float) -> PiecewiseQuadratic:
    """h where |h| > lambd, else 0."""
    breaks = (Break(-lambd, jump=lambd, bend=-1), Break(lambd, jump=lambd, bend=1))
    return PiecewiseQuadratic("hardshrink", partial(F.hardshrink, lambd=lambd), breaks, slope=1.0)


def jumping(at: float, value: float) -> PiecewiseQuadratic:
    """h where h > at, else `value`."""
    function = partial(F.threshold, threshold=at, value=value)
    return PiecewiseQuadratic("threshold", function, (Break(at, jump=at - value, bend=1),))


HARDSWISH = PiecewiseQuadratic("hardswish", F.hardswish, (Break(-3, 0, -0.5, 1 / 3), Break(3, 0, -0.5, -1 / 3)))
RELU_SQUARED = PiecewiseQuadratic("relu squared", lambda h: h.relu().square(), (Break(0, curve=2),))
