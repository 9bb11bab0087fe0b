"""floor, ceil, trunc and round: no slope of their own, but a mean one that noise brings near to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from adrgd.activations.normal import PEAK, bell
from adrgd.activations.slopes import Pointwise

WIDE = (
    0.5  # of a step: a wider noise leaves a mean slope within .015 of one; the further steps left out are .009 at most
)


@dataclass(frozen=True)
class Stairs(Pointwise):
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

    @property
    def is_flat(self) -> bool:
        return True

    def value(self, h: Tensor) -> Tensor:
        return self.function(h)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        place = h / self.unit
        square = square / self.unit**2
        narrow = square.clamp_max(WIDE**2).rsqrt_()
        near = place - 0.5 if self.halves else place.clone()
        near -= near.round()
        slope = bell(near * narrow)
        for k in (-1, 1):
            slope += bell((near - k).mul_(narrow))
        slope *= narrow
        if self.level:
            narrow = square.rsqrt_()
            slope.sub_(bell(place.mul_(narrow)).mul_(narrow)).clamp_min_(0)
        return slope.mul_(PEAK)


FLOOR, CEIL = Stairs("floor", torch.floor), Stairs("ceil", torch.ceil)
TRUNC = Stairs("trunc", torch.trunc, level=True)


def rounding(decimals: int) -> Stairs:
    """torch.round to so many decimals."""
    return Stairs("round", partial(torch.round, decimals=decimals), 10.0**-decimals, halves=True)
