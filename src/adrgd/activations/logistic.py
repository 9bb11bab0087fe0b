"""Softplus, logsigmoid and SiLU: made of the logistic curve, which noise makes wider and lower.

The forms here keep three things that a closer fit would lose: without noise they are the true slope, a slope that is
positive stays so, and far out it does not vanish before the true one does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.slopes import Pointwise


@dataclass(frozen=True)
class Widened:
    """The mean of 1 / (1 + exp(-(h + s xi))) as 1 / (1 + exp(-(u + bend (1 - r^2) u^3))), u = h r, r^-2 = 1 + rate s^2.

    The cubic term makes of the logistic curve, which it is without noise, the normal one that it is under a wide noise.
    """

    rate: float
    bend: float

    def scaled(self, h: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u, r^2, which is written over `square`, and bend (1 - r^2) u^2."""
        narrow = square.mul_(self.rate).add_(1).rsqrt_()
        u = torch.mul(h, narrow)
        narrow.square_()
        return u, narrow, torch.rsub(narrow, self.bend, alpha=self.bend).mul(u).mul_(u)

    def curve(self, h: Tensor, square: Tensor) -> Tensor:
        u, _, bend = self.scaled(h, square)
        return torch.addcmul(u, bend, u).sigmoid_()


CURVE = Widened(rate=0.40679, bend=0.019107)  # within .0038 of the mean
PRODUCT = Widened(rate=0.40038, bend=0.02569)  # for h times the curve, whose slope is then within .0073


@dataclass(frozen=True)
class Softplus(Pointwise):
    """log(1 + exp(beta h)) / beta; torch takes it for h where beta h > threshold."""

    beta: float = 1.0
    threshold: float = 20.0
    name = "softplus"

    def value(self, h: Tensor) -> Tensor:
        return F.softplus(h, self.beta, self.threshold)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        if self.beta == 1:
            return CURVE.curve(h, square)
        return CURVE.curve(h * self.beta, square.mul_(self.beta**2))


@dataclass(frozen=True)
class LogSigmoid(Pointwise):
    """-log(1 + exp(-h))."""

    name = "logsigmoid"

    def value(self, h: Tensor) -> Tensor:
        return F.logsigmoid(h)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        return CURVE.curve(-h, square)


@dataclass(frozen=True)
class Silu(Pointwise):
    """h / (1 + exp(-h)).

    The mean slope is p + r^2 u dp/du, where p is the widened curve at u.
    """

    name = "silu"

    def value(self, h: Tensor) -> Tensor:
        return F.silu(h)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        u, narrow, bend = PRODUCT.scaled(h, square)
        p = torch.addcmul(u, bend, u).sigmoid_()
        steep = torch.addcmul(u, bend, u, value=3).mul_(narrow)
        product: Tensor = torch.ops.aten.sigmoid_backward(steep, p)  # steep p (1 - p)
        return product.add_(p)


LOGSIGMOID, SILU = LogSigmoid(), Silu()
