"""Pointwise activations whose slopes are, closely enough, short sums of normal distributions and densities.

Noise turns each term into a wider one of the same form, so that the mean slope is never further from the true mean
than the sum is from the true slope. `benchmarks/activations_fit.py` makes the coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.normal import bell
from adrgd.activations.slopes import Pointwise


class Term(NamedTuple):
    """step Phi(u) + (even + odd u) exp(-u^2 / 2) / sqrt(2 pi), where u = (h - at) / width."""

    at: float
    width: float
    step: float = 0.0
    even: float = 0.0
    odd: float = 0.0


@dataclass(frozen=True)
class Mixture(Pointwise):
    """A function whose slope is nearly base + the sum of the terms.

    Under noise, with r = width / sqrt(width^2 + s^2) and u = (h - at) r / width, a term is
    step Phi(u) + (even r + odd r^2 u) exp(-u^2 / 2) / sqrt(2 pi).
    """

    name: str
    function: Callable[[Tensor], Tensor]
    terms: tuple[Term, ...]
    base: float = 0.0

    def value(self, h: Tensor) -> Tensor:
        return self.function(h)

    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        double, slope = square.mul_(2), h.new_full(h.shape, self.base + sum(term.step / 2 for term in self.terms))
        for term in self.terms:
            narrow = torch.add(double, 2 * term.width**2).rsqrt_()
            u = torch.sub(h, term.at).mul_(narrow) if term.at else torch.mul(h, narrow)  # over sqrt(2)
            if term.even or term.odd:
                part = bell(u, 1.0).mul_(narrow)
                slope.add_(part, alpha=term.even * term.width / math.sqrt(math.pi))
                if term.odd:
                    slope.addcmul_(part, narrow * u, value=term.odd * 2 * term.width**2 / math.sqrt(math.pi))
            if term.step:
                slope.add_(u.erf_(), alpha=term.step / 2)
        return slope


MISH = Mixture(
    "mish", F.mish,
    (Term(0.03039, 0.74466, 1), Term(-0.92892, 2.33159, even=-0.14420, odd=0.08891),
     Term(-0.42669, 1.33055, even=0.27762, odd=0.42654)),
)  # fmt: skip
TANHSHRINK = Mixture(
    "tanhshrink", F.tanhshrink, (Term(0, 0.61430, even=-1.48705), Term(0, 1.06658, even=-1.01427)), base=1
)
SOFTSIGN = Mixture(
    "softsign", F.softsign,
    (Term(0, 0.02167, even=0.18059), Term(0, 0.10969, even=0.54098), Term(0, 0.35632, even=0.91374),
     Term(0, 1.06439, even=0.68052), Term(0, 4.15928, even=0.17452)),
)  # fmt: skip
ATAN = Mixture(
    "atan", torch.atan,
    (Term(0, 0.56850, even=1.26030), Term(0, 1.33206, even=1.04297), Term(0, 4.62456, even=0.19099)),
)  # fmt: skip
