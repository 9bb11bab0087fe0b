"""How far float64 rounding can move a bound, as a number to add to it."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.exact.affine import Mlp

_UNIT_ROUNDOFF = 2.0**-53
_SAFETY = 8.0
_EXTRA_OPERATIONS = 16


def rounding_slack(mlp: Mlp, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
    """For every layer an outward slack, one number a neuron, that covers the rounding of its computed bounds.

    Replace every weight, bias and input by its absolute value and drop the ReLUs: the sums `M` so obtained are at
    least the sum of the absolute values of the terms in any bound of this package, for each relaxation slope lies in
    [0, 1] and each offset is at most the neuron's own `M`. There is one group of such terms from the box and one
    from the offsets of each ReLU layer passed. A term is a product in which every factor, partial sum and slope
    carries a relative error of at most the unit roundoff, and the number of roundings on its way is at most the sum
    of the widths passed plus a few for the relaxation itself. The first-order error is therefore at most
    `roundings * unit roundoff * groups * M`. The slack is eight times that, which also pays for the second-order
    terms, for box centres and cuts that are rounded, and for bounds that use those of earlier layers.
    """
    magnitude = torch.maximum(lower.abs(), upper.abs())
    roundings = 0
    slacks = []
    for groups, (weight, bias) in enumerate(zip(mlp.weights, mlp.biases, strict=True), start=1):
        magnitude = weight.abs() @ magnitude + bias.abs()
        roundings += weight.shape[1] + _EXTRA_OPERATIONS
        slacks.append(_SAFETY * roundings * _UNIT_ROUNDOFF * groups * magnitude)
    return tuple(slacks)
