"""Activations whose mean slope under Gaussian noise has a closed form of a few terms: GELU, erf, sine and cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.normal import PEAK, bell, chance_, deviation
from adrgd.activations.slopes import Factor, Smooth


@dataclass(frozen=True)
class Gelu(Smooth):
    """h Phi(h), or torch's approximation of it by tanh, whose slope is within .0009 of it.

    With u = h / sqrt(1 + s^2) the mean slope is Phi(u) + u exp(-u^2 / 2) / (sqrt(2 pi) (1 + s^2)).
    """

    approximate: str = "none"
    name = "gelu"

    def value(self, h: Tensor) -> Tensor:
        return F.gelu(h, approximate=self.approximate)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        narrow = deviation(inverse, left).square_().add_(1).reciprocal_()
        u = torch.mul(h, narrow.sqrt())
        bump = bell(u).mul_(u).mul_(narrow)
        return Factor(chance_(u).add_(bump, alpha=PEAK))


@dataclass(frozen=True)
class Erf(Smooth):
    """Under noise the curve keeps its form and grows wider: the mean of erf(h + s xi) is erf(h / sqrt(1 + 2 s^2))."""

    name = "erf"

    def value(self, h: Tensor) -> Tensor:
        return torch.erf(h)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        narrow = deviation(inverse, left).square_().mul_(2).add_(1).rsqrt_()
        return Factor(torch.mul(h, narrow).square_().neg_().exp_().mul_(narrow).mul_(2 / math.sqrt(math.pi)))


@dataclass(frozen=True)
class Wave(Smooth):
    """Sine or cosine: noise damps a wave by exp(-s^2 / 2) and leaves its phase."""

    name: str

    def value(self, h: Tensor) -> Tensor:
        return torch.sin(h) if self.name == "sin" else torch.cos(h)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        slope = torch.cos(h) if self.name == "sin" else torch.sin(h).neg_()
        return Factor(slope.mul_(bell(deviation(inverse, left))))


GELU, GELU_TANH, ERF = Gelu(), Gelu("tanh"), Erf()
SIN, COS = Wave("sin"), Wave("cos")
