"""floor, ceil, trunc and round: no slope of their own, but a mean one that noise brings near to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from adrgd.activations.normal import PEAK, bell, deviation
from adrgd.activations.slopes import Factor

WIDE = 0.5  # of a step: a wider noise leaves a mean slope within .015 of one


@dataclass(frozen=True)
class Stairs:
    """Steps of equal width and height, `unit`; they are at the multiples of it, or half-way between.

    The mean slope is a bump, the noise's density, at each step; only the three next to h are counted, and the noise is
    taken as WIDE where it is wider.

    Attributes:
        halves: the steps lie half-way between the multiples.
        level: there is no step at zero.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    unit: float = 1.0
    halves: bool = False
    level: bool = False

    is_relu = False
    is_flat = True

    def value(self, h: Tensor) -> Tensor:
        return self.function(h)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        s = deviation(inverse, left).div_(self.unit)
        narrow = s.clamp(max=WIDE).reciprocal_()
        place = h / self.unit - 0.5 if self.halves else h / self.unit
        nearest = place.round()
        place -= nearest
        slope = sum((bell((place - k) * narrow) for k in (-1, 1)), bell(place * narrow)).mul_(narrow)
        if self.level:
            slope.sub_(bell(h / (s * self.unit)).div_(s)).clamp_min_(0)
        return Factor(slope.mul_(PEAK))


FLOOR, CEIL = Stairs("floor", torch.floor), Stairs("ceil", torch.ceil)
TRUNC = Stairs("trunc", torch.trunc, level=True)


def rounding(decimals: int) -> Stairs:
    """torch.round to so many decimals."""
    return Stairs("round", partial(torch.round, decimals=decimals), 10.0**-decimals, halves=True)
