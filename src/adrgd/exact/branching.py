"""Cutting and splitting boxes: which part of a box can still hold a better point, and where to halve the rest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adrgd.exact.affine import Mlp
from adrgd.exact.objective import LinearBound
from adrgd.exact.relaxation import Relaxation


def cut(lower: Tensor, upper: Tensor, linear: LinearBound, threshold: float) -> tuple[Tensor, Tensor]:
    """Shrink boxes to the part where their linear bound can exceed the threshold.

    Going away from the maximiser of the linear bound along one axis by `(bound - threshold) / |slope|` brings the
    bound down to the threshold even if all other coordinates stay at their best.
    """
    reach = (linear.bound - threshold).clamp(min=0)[:, None] / linear.slope.abs()  # infinite or undefined at slope 0
    new_lower = torch.where(linear.slope > 0, torch.maximum(lower, upper - reach), lower)
    new_upper = torch.where(linear.slope < 0, torch.minimum(upper, lower + reach), upper)
    return new_lower, new_upper


def score(mlp: Mlp, lower: Tensor, upper: Tensor, relaxations: Sequence[Relaxation]) -> Tensor:
    """For each input, how much the gradient can vary over the box times the width of the box: (boxes, inputs).

    The range of the gradient is found by interval arithmetic from the output backwards, with derivatives in [0, 1] at
    the unstable neurons. It is zero where the network is affine.
    """
    middle, radius = mlp.weights[-1], torch.zeros_like(mlp.weights[-1])
    for relaxation, weight in zip(reversed(relaxations), reversed(mlp.weights[:-1]), strict=True):
        least, most = middle - radius, middle + radius
        low = torch.where(relaxation.unstable, least.clamp(max=0), least * relaxation.upper_slope)
        high = torch.where(relaxation.unstable, most.clamp(min=0), most * relaxation.upper_slope)
        middle, radius = ((low + high) / 2) @ weight, ((high - low) / 2) @ weight.abs()
    return radius * (upper - lower)


def halve(lower: Tensor, upper: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split every box at the middle of its best axis.

    Returns:
        The lower corners of all children, their upper corners, and for each box whether it could be split: floating
        point has no number between its ends along any axis otherwise. Children come as first halves of all boxes
        that can be split, then second halves.
    """
    middle = (lower + upper) / 2
    divisible = (middle > lower) & (middle < upper)
    width = upper - lower
    # Where the scores say nothing, halve the widest axis.
    usable = torch.where(scores.amax(1, keepdim=True) > 0, scores, width)
    axis = torch.where(divisible, usable, -1.0).argmax(1, keepdim=True)
    split = divisible.gather(1, axis).squeeze(1)
    if not split.all():
        lower, upper, middle, axis = lower[split], upper[split], middle[split], axis[split]
    at = middle.gather(1, axis)
    return torch.cat([lower, lower.scatter(1, axis, at)]), torch.cat([upper.scatter(1, axis, at), upper]), split
