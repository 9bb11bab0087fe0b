"""Activations whose mean slope under Gaussian noise has a closed form of a few terms: GELU, erf, sine and cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.normal import PEAK, bell, chance_, exp_
from adrgd.activations.slopes import Pointwise


@dataclass(frozen=True)
class Gelu(Pointwise):
    """h Phi(h), or torch's approximation of it by tanh, whose slope is within .0009 of it.

    With u = h / sqrt(1 + s^2) the mean slope is Phi(u) + u exp(-u^2 / 2) / (sqrt(2 pi) (1 + s^2)).
    """

    approximate: str = "none"
    name = "gelu"

    def value(self, h: Tensor) -> Tensor:
        return F.gelu(h, approximate=self.approximate)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        narrow = square.add_(1).mul_(2).rsqrt_()
        u = torch.mul(h, narrow)  # over sqrt(2), as erf takes it
        bump = bell(u, 1.0).mul_(u)
        return chance_(u).addcmul_(bump, narrow.square_(), value=2 * math.sqrt(2) * PEAK)


@dataclass(frozen=True)
class Erf(Pointwise):
    """Under noise the curve keeps its form and grows wider: the mean of erf(h + s xi) is erf(h / sqrt(1 + 2 s^2))."""

    name = "erf"

    def value(self, h: Tensor) -> Tensor:
        return torch.erf(h)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        narrow = square.mul_(2).add_(1).rsqrt_()
        return bell(torch.mul(h, narrow), 1.0).mul_(narrow.mul_(2 / math.sqrt(math.pi)))


@dataclass(frozen=True)
class Wave(Pointwise):
    """Sine or cosine: noise damps a wave by exp(-s^2 / 2) and leaves its phase."""

    name: str

    def value(self, h: Tensor) -> Tensor:
        return torch.sin(h) if self.name == "sin" else torch.cos(h)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        slope = torch.cos(h) if self.name == "sin" else torch.sin(h).neg_()
        return slope.mul_(exp_(square.mul_(-0.5)))


GELU, GELU_TANH, ERF = Gelu(), Gelu("tanh"), Erf()
SIN, COS = Wave("sin"), Wave("cos")
