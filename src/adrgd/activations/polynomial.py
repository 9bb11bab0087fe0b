"""Activations made of straight and quadratic pieces that may jump: hardswish, hardshrink, threshold, relu squared."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.normal import PEAK, bell
from adrgd.activations.slopes import Pointwise


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
class PiecewiseQuadratic(Pointwise):
    """A function with slope `left` far on the left, where it is straight, and these breaks.

    Under noise, with w = (h - at) / s, a bend passes with the chance Phi(w), a jump as the density of the noise, and
    a curve adds (h - at) Phi(w) + s density(w).
    """

    name: str
    function: Callable[[Tensor], Tensor]
    breaks: tuple[Break, ...]
    left: float = 0.0

    @property
    def is_flat(self) -> bool:
        return self.left == 0 and not any(b.bend or b.curve for b in self.breaks)

    def value(self, h: Tensor) -> Tensor:
        return self.function(h)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        narrow = square.mul(2).rsqrt_()
        scaled = torch.mul(h, narrow)
        # Phi = 1 / 2 + erf / 2: the halves make up the mean of the slopes far out on both sides
        rate, swing, leap = _Sum(), _Sum(), _Sum()
        slope = h.new_full(h.shape, self.left + sum(b.bend - b.curve * b.at for b in self.breaks) / 2)
        for b in self.breaks:
            w = torch.sub(scaled, narrow, alpha=b.at)  # over sqrt(2)
            if b.jump or b.curve:
                density = bell(w, 1.0)
                swing.add(density, PEAK * b.curve)
                leap.add(density, PEAK * b.jump * math.sqrt(2))
            if b.bend or b.curve:
                odds = w.erf_()
                rate.add(odds, b.curve / 2)
                slope.add_(odds, alpha=(b.bend - b.curve * b.at) / 2)
        # each sum over the breaks comes first: far outside the terms cancel there without rounding
        curve = sum(b.curve for b in self.breaks) / 2
        if curve:
            slope.add_(h, alpha=curve)
        for total, factor in ((rate, h), (swing, square.sqrt_()), (leap, narrow)):
            if total.value is not None:
                slope.addcmul_(total.value, factor)
        return slope


class _Sum:
    """A weighted sum of tensors, None while it is empty."""

    value: Tensor | None = None

    def add(self, part: Tensor, weight: float) -> None:
        if weight:
            self.value = part * weight if self.value is None else self.value.add_(part, alpha=weight)


def hardshrink(lambd: float) -> PiecewiseQuadratic:
    """h where |h| > lambd, else 0."""
    breaks = (Break(-lambd, jump=lambd, bend=-1), Break(lambd, jump=lambd, bend=1))
    return PiecewiseQuadratic("hardshrink", partial(F.hardshrink, lambd=lambd), breaks, left=1.0)


def jumping(at: float, value: float) -> PiecewiseQuadratic:
    """h where h > at, else `value`."""
    function = partial(F.threshold, threshold=at, value=value)
    return PiecewiseQuadratic("threshold", function, (Break(at, jump=at - value, bend=1),))


HARDSWISH = PiecewiseQuadratic("hardswish", F.hardswish, (Break(-3, 0, -0.5, 1 / 3), Break(3, 0, -0.5, -1 / 3)))
RELU_SQUARED = PiecewiseQuadratic("relu squared", lambda h: h.relu().square(), (Break(0, curve=2),))
