"""ELU, SELU and CELU: an exponential on the left, a line on the right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.activations.normal import PEAK, bell, chance_, deviation
from adrgd.activations.slopes import Factor, Smooth

SHARE, LINEAR = 0.364794, 0.020139  # of the ratio below, fitted


def ratio_(x: Tensor) -> Tensor:
    """Phi(-x) / exp(-x^2 / 2) for x >= 0 within .0016 of its value, written over x: what erfcx is slow for.

    Exact at zero, and at infinity, where it falls as 1 / x.
    """
    root = torch.add(x, LINEAR / SHARE**2).mul_(x).mul_(SHARE**2).add_(2 / math.pi).sqrt_()
    return root.add_(x, alpha=1 - SHARE).reciprocal_().mul_(PEAK)


@dataclass(frozen=True)
class Exponential(Smooth):
    """scale * h where h > 0, else scale * alpha * (exp(rate h) - 1).

    With v = h / s the mean slope of the line is Phi(v), and that of the exponential, at rate 1, is
    exp(h + s^2 / 2) Phi(-(v + s)), which is exp(-v^2 / 2) times `ratio_` of v + s where that is positive.
    """

    name: str
    alpha: float = 1.0
    scale: float = 1.0
    rate: float = 1.0

    def value(self, h: Tensor) -> Tensor:
        out: Tensor = torch.ops.aten.elu(h, self.alpha, self.scale, self.rate)
        return out

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        if self.rate != 1:
            h, left = h * self.rate, left * self.rate
        s = deviation(inverse, left)
        v = torch.div(h, s)
        x = v + s
        rest = ratio_(x.abs()).mul_(bell(v))
        whole = s.square_().mul_(0.5).add(h).clamp_max_(0).exp_()  # what is above zero is not asked for
        tail = torch.where(x < 0, whole.sub_(rest), rest)
        slope = chance_(v).add_(tail, alpha=self.alpha * self.rate)
        return Factor(slope if self.scale == 1 else slope.mul_(self.scale))


SELU = Exponential("selu", 1.6732632423543772848, 1.0507009873554804934)
