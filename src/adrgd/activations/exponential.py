"""ELU, SELU and CELU: an exponential on the left, a line on the right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.activations.normal import bell, chance_, exp_
from adrgd.activations.slopes import Pointwise

SHARE, START = 0.338844, 5.5147  # fitted


def mills(x: Tensor) -> Tensor:
    """exp(-x^2 / 2) / Phi(-x) for x >= 0 within .0028 of its value: what erfcx is slow for."""
    root = torch.addcmul(x.new_tensor(2 * math.pi * SHARE**2 * START), x, x, value=2 * math.pi * SHARE**2).sqrt_()
    return root.add_(x, alpha=math.sqrt(2 * math.pi) * (1 - SHARE))


@dataclass(frozen=True)
class Exponential(Pointwise):
    """scale * h where h > 0, else scale * alpha * (exp(rate h) - 1).

    With v = h / s and x = v + s, the mean slope of the line is Phi(v), and that of the exponential, at rate 1, is
    exp(h + s^2 / 2) Phi(-x). Where x is positive that is exp(-v^2 / 2) / mills(x), which cannot overflow.
    """

    name: str
    alpha: float = 1.0
    scale: float = 1.0
    rate: float = 1.0

    def value(self, h: Tensor) -> Tensor:
        out: Tensor = torch.ops.aten.elu(h, self.alpha, self.scale, self.rate)
        return out

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        if self.rate != 1:
            h, square = h * self.rate, square.mul_(self.rate**2)
        narrow = square.rsqrt()
        v = torch.mul(h, narrow)
        x = torch.addcmul(v, square, narrow)
        tail = bell(v).div_(mills(x.abs()))
        whole = exp_(torch.add(h, square, alpha=0.5).clamp_max_(0))  # what is above zero is not asked for
        tail.sub_(torch.ops.aten.threshold_backward(whole, x.neg_(), 0)).abs_()  # where x < 0, whole - tail
        slope = chance_(v.mul_(math.sqrt(0.5))).add_(tail, alpha=self.alpha * self.rate)
        return slope if self.scale == 1 else slope.mul_(self.scale)


SELU = Exponential("selu", 1.6732632423543772848, 1.0507009873554804934)
