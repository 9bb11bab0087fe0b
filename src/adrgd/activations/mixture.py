"""Smooth activations whose slopes are, closely enough, short sums of normal distributions and densities.

Noise turns each term into a wider one of the same form, so that the mean slope is never further from the true mean
than the sum is from the true slope. `benchmarks/activations_fit.py` makes the coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.normal import PEAK, bell, chance_, deviation
from adrgd.activations.slopes import Factor, Smooth


class Term(NamedTuple):
    """step Phi(u) + (even + odd u) exp(-u^2 / 2) / sqrt(2 pi), where u = (h - at) / width."""

    at: float
    width: float
    step: float = 0.0
    even: float = 0.0
    odd: float = 0.0


@dataclass(frozen=True)
class Mixture(Smooth):
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

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        square = deviation(inverse, left).square_()
        slope = h.new_full(h.shape, self.base)
        for term in self.terms:
            narrow = torch.add(square, term.width**2).rsqrt_()
            u = torch.sub(h, term.at).mul_(narrow) if term.at else torch.mul(h, narrow)
            if term.even or term.odd:
                narrow.mul_(term.width)
                part = bell(u).mul_(narrow)
                if term.odd:
                    part.mul_(torch.mul(u, narrow).mul_(term.odd).add_(term.even))
                slope.add_(part, alpha=PEAK * (1.0 if term.odd else term.even))
            if term.step:
                slope.add_(chance_(u), alpha=term.step)
        return Factor(slope)


SILU = Mixture("silu", F.silu, (Term(0, 0.98690, 1), Term(0, 1.82558, odd=0.35907), Term(0, 2.81140, odd=0.11765)))
MISH = Mixture(
    "mish", F.mish,
    (Term(0.03039, 0.74466, 1), Term(-0.92892, 2.33159, even=-0.14420, odd=0.08891),
     Term(-0.42669, 1.33055, even=0.27762, odd=0.42654)),
)  # fmt: skip
TANHSHRINK = Mixture(
    "tanhshrink", F.tanhshrink,
    (Term(0, 0.52478, even=-0.71060), Term(0, 0.80960, even=-1.42967), Term(0, 1.28245, even=-0.36581)), base=1,
)  # fmt: skip
SOFTSIGN = Mixture(
    "softsign", F.softsign,
    (Term(0, 0.02167, even=0.18059), Term(0, 0.10969, even=0.54098), Term(0, 0.35632, even=0.91374),
     Term(0, 1.06439, even=0.68052), Term(0, 4.15928, even=0.17452)),
)  # fmt: skip
ATAN = Mixture(
    "atan", torch.atan,
    (Term(0, 0.50241, even=0.89963), Term(0, 1.00774, even=1.13904), Term(0, 2.36784, even=0.40198),
     Term(0, 8.22987, even=0.06129)),
)  # fmt: skip
