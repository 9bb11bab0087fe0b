"""Sigmoid, tanh, sign and the unit step: widths of one curve."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.activations.slopes import Factor


@dataclass(frozen=True)
class SShaped:
    """phi(h) = height / (1 + exp(-h / width)) - base; width 0 is a jump at zero.

    Under noise the curve keeps its form and grows wider: with the logistic form of Phi, the mean of phi(h + s xi) is
    phi again, its width the root of width^2 + (s / 1.702)^2. The mean derivative of a jump is a bump where a true
    derivative would be zero: for the sign it stands for 2 N(h; 0, s^2).
    """

    width: float
    height: float
    base: float = 0.0
    name: str = ""

    is_relu = False

    @property
    def is_flat(self) -> bool:
        return self.width == 0.0

    def value(self, h: Tensor) -> Tensor:
        if self.width:
            return self.height * torch.sigmoid(h / self.width) - self.base
        return (self.height * torch.heaviside(h, h.new_tensor(0.5))).sub_(self.base)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        narrow = inverse / left
        if self.width:
            narrow = narrow.reciprocal_().square_().add_(self.width**2).rsqrt_()
        p = torch.mul(h, narrow).sigmoid_()
        return Factor((p - p * p).mul_(narrow).mul_(self.height))


SIGMOID = SShaped(width=1.0, height=1.0, name="sigmoid")
TANH = SShaped(width=0.5, height=2.0, base=1.0, name="tanh")
SIGN = SShaped(width=0.0, height=2.0, base=1.0, name="sign")
HEAVISIDE = SShaped(width=0.0, height=1.0, name="heaviside")
