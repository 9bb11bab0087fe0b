"""The noise of a layer's pre-activations, and the normal distribution on whole tensors."""

from __future__ import annotations

import math

from torch import Tensor

LOGISTIC = 1.702  # Phi(u) is within .0095 of 1 / (1 + exp(-1.702 u)), which is several times cheaper
PEAK = 1 / math.sqrt(2 * math.pi)  # of the standard normal density


def deviation(inverse: Tensor, left: float) -> Tensor:
    """s = 1.702 left / inverse: how far the noise moves each pre-activation."""
    return inverse.reciprocal().mul_(LOGISTIC * left)


def chance_(u: Tensor) -> Tensor:
    """Phi(u), written over u."""
    return u.mul_(math.sqrt(0.5)).erf_().add_(1).mul_(0.5)


def bell(u: Tensor) -> Tensor:
    """exp(-u^2 / 2): the density of u without its factor `PEAK`."""
    return u.square().mul_(-0.5).exp_()
