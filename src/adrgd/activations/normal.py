"""The noise of a layer's pre-activations, and the normal distribution in few passes over memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOGISTIC = 1.702  # Phi(u) is within .0095 of 1 / (1 + exp(-1.702 u)), which is several times cheaper
PEAK = 1 / math.sqrt(2 * math.pi)  # of the standard normal density


def variance(inverse: Tensor, left: float) -> Tensor:
    """s^2 for s = 1.702 left / inverse: how far the noise moves each pre-activation."""
    return inverse.pow(-2).mul_((LOGISTIC * left) ** 2)


def exp_(u: Tensor) -> Tensor:
    """exp(u), written over u, or a number below 1e-26 where it is less.

    What is too small for the processor's usual numbers takes it ten times as long, here and in all that follows.
    """
    return u.clamp_min_(0.7 * math.log(torch.finfo(u.dtype).tiny)).exp_()


def bell(u: Tensor, half: float = 0.5) -> Tensor:
    """exp(-half u^2): the density of u without its factor `PEAK`."""
    return exp_(torch.addcmul(u.new_zeros(()), u, u, value=-half))


def chance_(u: Tensor) -> Tensor:
    """Phi(sqrt(2) u), written over u."""
    return u.erf_().mul_(0.5).add_(0.5)
