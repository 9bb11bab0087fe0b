"""A ReLU between two straight lines, for every neuron of a layer and every box of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Relaxation:
    """`lower_slope z <= relu(z) <= upper_slope z + upper_offset` wherever the pre-activation `z` can be.

    All fields have shape (boxes, neurons). A neuron that cannot change sign is exact: both slopes are 0 or 1. The
    lower slope of an unstable neuron is the better of 0 and 1 by area; any other number in [0, 1] is as valid.
    """

    unstable: Tensor
    upper_slope: Tensor
    upper_offset: Tensor
    lower_slope: Tensor

    def take(self, rows: Tensor) -> Relaxation:
        """The relaxation in the boxes with these indices."""
        return Relaxation(self.unstable[rows], self.upper_slope[rows], self.upper_offset[rows], self.lower_slope[rows])


def relax(lower: Tensor, upper: Tensor) -> Relaxation:
    """The triangle relaxation of ReLU over pre-activations in [lower, upper]."""
    below, above = lower.clamp(max=0), upper.clamp(min=0)
    unstable = (lower < 0) & (upper > 0)
    width = torch.where(unstable, above - below, 1.0)
    # A stable neuron has below = 0 (active) or above = 0 (inactive), so its offset comes out as zero.
    upper_slope = torch.where(unstable, above / width, (lower >= 0).to(lower.dtype))
    upper_offset = torch.where(unstable, -upper_slope * below, 0.0)
    lower_slope = torch.where(unstable, (above > -below).to(lower.dtype), upper_slope)
    return Relaxation(unstable, upper_slope, upper_offset, lower_slope)
