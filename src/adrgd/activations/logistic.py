"""Softplus and logsigmoid: their slopes are logistic curves, which noise makes wider and lower."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.normal import deviation
from adrgd.activations.slopes import Factor, Smooth

CUBIC = 0.01353  # makes the logistic curve of a wide noise a normal one


def widened(h: Tensor, deviation: Tensor) -> Tensor:
    """The mean of 1 / (1 + exp(-(h + s xi))), within .0043, positive and growing with h; s is overwritten.

    With r = 1 / sqrt(1 + pi s^2 / 8) and u = h r it is nearly 1 / (1 + exp(-u)): the same without noise, and with
    the same slope at zero as Phi(h / s) under a wide one. What it lacks there, a term in u^3, grows with 1 - r^2.
    """
    narrow = deviation.square_().mul_(math.pi / 8).add_(1).rsqrt_()
    u = torch.mul(h, narrow)
    bend = narrow.square_().neg_().add_(1).square_().mul_(CUBIC)
    return torch.addcmul(u, u.square().mul_(bend), u).sigmoid_()


@dataclass(frozen=True)
class Softplus(Smooth):
    """log(1 + exp(beta h)) / beta; torch takes it for h where beta h > threshold."""

    beta: float = 1.0
    threshold: float = 20.0
    name = "softplus"

    def value(self, h: Tensor) -> Tensor:
        return F.softplus(h, self.beta, self.threshold)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        return Factor(widened(h if self.beta == 1 else h * self.beta, deviation(inverse, left * abs(self.beta))))


@dataclass(frozen=True)
class LogSigmoid(Smooth):
    """-log(1 + exp(-h))."""

    name = "logsigmoid"

    def value(self, h: Tensor) -> Tensor:
        return F.logsigmoid(h)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        return Factor(widened(-h, deviation(inverse, left)))


LOGSIGMOID = LogSigmoid()
