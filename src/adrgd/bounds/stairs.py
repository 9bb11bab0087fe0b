"""Curves with jumps: the unit step, and steps at all whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.bounds.curves import Curve, Shape


@dataclass(frozen=True)
class Flat(Curve):
    """Constant between jumps of height one."""

    leaps: bool = True

    def slope(self, h: Tensor) -> Tensor:
        return torch.zeros_like(h)


STEP = Flat("step", lambda h: (h >= 0).to(h.dtype), (0.0,))
"""One from zero on: at zero itself, too."""

JUST_BELOW = -1e-300


def end_of_half(curve: Shape, side: int) -> float:
    """Where a half ends that a layer's pre-activation is split into at zero: 1 is the lower half.

    A step's value at zero belongs to the upper half, so that the lower half, which ends before zero, has none of it.
    """
    return JUST_BELOW if curve is STEP and side > 0 else 0.0


@dataclass(frozen=True)
class Stairs(Flat):
    """Steps at `at` and in distances of one from there.

    Of all steps inside an interval, the first two and the last two are its corners (the outer ones may lie at its very
    ends): a line's distance from the steps between them grows or shrinks from one to the next.
    """

    at: float = 0.0

    def corners(self, lower: Tensor, upper: Tensor) -> list[Tensor]:
        first = torch.minimum((lower - self.at).ceil() + self.at, upper)
        first = torch.maximum(first, lower)
        last = torch.maximum(torch.minimum((upper - self.at).floor() + self.at, upper), first)
        second = torch.minimum(first + 1, last)
        return [first, second, torch.maximum(last - 1, second), last]


@dataclass(frozen=True)
class Trunc(Stairs):
    """Towards zero: no step there, so that the tread around it is twice as wide."""

    def corners(self, lower: Tensor, upper: Tensor) -> list[Tensor]:
        found = super().corners(lower, upper)
        around = [torch.minimum(torch.maximum(torch.full_like(lower, at), lower), upper) for at in (-1.0, 1.0)]
        return list(torch.stack([*found, *around]).sort(0).values)


FLOOR, CEIL = Stairs("floor", torch.floor), Stairs("ceil", torch.ceil)
ROUND, TRUNC = Stairs("round", torch.round, at=0.5), Trunc("trunc", torch.trunc)
