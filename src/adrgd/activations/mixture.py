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
    (Term(0.03022, 0.74458, step=1), Term(-0.92793, 2.33392, even=-0.14407, odd=0.08857),
     Term(-0.42716, 1.33128, even=0.27734, odd=0.42686)),
)  # fmt: skip
TANHSHRINK = Mixture(
    "tanhshrink", F.tanhshrink, (Term(0, 0.61459, even=-1.48882), Term(0, 1.06708, even=-1.01242)), base=1
)
SOFTSIGN = Mixture(
    "softsign", F.softsign,
    (Term(0, 0.01659, even=0.15), Term(0, 0.09364, even=0.48757), Term(0, 0.31195, even=0.88904),
     Term(0, 0.92873, even=0.747), Term(0, 3.5326, even=0.2222)),
)  # fmt: skip
ATAN = Mixture(
    "atan", torch.atan,
    (Term(0, 0.57664, even=1.29421), Term(0, 1.36266, even=1.01724), Term(0, 4.75829, even=0.18106)),
)  # fmt: skip
