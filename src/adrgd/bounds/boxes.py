"""Cutting and halving boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Coefficients, LinearBound
from adrgd.bounds.relaxation import Relaxation


def cut(boxes: Boxes, linear: LinearBound, counts: Tensor) -> tuple[Boxes, Tensor]:
    """Shrink boxes to the part where all linear functions can be zero or less, and say which of them are left.

    Going away from the minimiser of a linear function along one axis by `-value / |slope|` brings it up to zero
    even if all other coordinates stay at their best. The rows are taken one after the other, each on what is left.

    Args:
        linear: lower bounds of the functions, the slack taken off their values and offsets.
        counts: (boxes, rows) which of the functions count.
    """
    lower, upper = boxes.lower, boxes.upper
    left = torch.ones(len(boxes), dtype=torch.bool)
    for row in range(counts.shape[1]):
        slope, count = linear.slope[:, row], counts[:, row, None]
        value = Boxes(lower, upper).least(slope[:, None], linear.offset[:, row, None])
        left &= ~((value > 0) & count)[:, 0]
        reach = ((-value).clamp(min=0) / slope.abs()).nan_to_num(torch.inf)  # undefined at slope 0, too
        lower, upper = (
            torch.where((slope < 0) & count, torch.maximum(lower, upper - reach), lower),
            torch.where((slope > 0) & count, torch.minimum(upper, lower + reach), upper),
        )
    return Boxes(lower, upper), left


def halve(boxes: Boxes, scores: Tensor) -> tuple[Boxes, Tensor]:
    """Split every box at the middle of its best axis.

    Returns:
        All children, first halves of all boxes that can be split and then second halves; and for each box whether it
        could be split: floating point has no number between its ends along any axis otherwise.
    """
    lower, upper = boxes.lower, boxes.upper
    middle = (lower + upper) / 2
    divisible = (middle > lower) & (middle < upper)
    # Where the scores say nothing, halve the widest axis.
    usable = torch.where(torch.where(divisible, scores, 0.0).amax(1, keepdim=True) > 0, scores, upper - lower)
    axis = torch.where(divisible, usable, -1.0).argmax(1, keepdim=True)
    split = divisible.gather(1, axis).squeeze(1)
    if not split.all():
        lower, upper, middle, axis = lower[split], upper[split], middle[split], axis[split]
    at = middle.gather(1, axis)
    return (
        Boxes(torch.cat([lower, lower.scatter(1, axis, at)]), torch.cat([upper.scatter(1, axis, at), upper])),
        split,
    )


def losses(coefficients: Coefficients, relaxations: list[Relaxation]) -> list[Tensor]:
    """What the bend of each neuron costs the bound, at most, summed over its rows: (boxes, neurons) for each layer."""
    found = []
    for rows, relaxation in zip(coefficients, relaxations, strict=True):
        if rows is None:
            found.append(torch.zeros_like(relaxation.above))
        else:
            positive = rows.clamp(min=0).sum(1)
            lost = (positive - rows.sum(1)) * relaxation.above + positive * relaxation.below
            if relaxation.cross is not None:  # both factors of a product are to blame
                lost = lost.chunk(2, -1)[0].repeat(1, 2) / 2
            found.append(lost)
    return found


def blame(lost: list[Tensor], shares: list[Tensor], boxes: Boxes) -> Tensor:
    """How much of the losses each input of the boxes is responsible for: (boxes, inputs).

    A neuron's loss is shared out to the inputs as they move its pre-activation over the box.
    """
    total = torch.zeros_like(boxes.lower)
    for loss, share in zip(lost, shares, strict=True):
        weight = share / share.sum(1, keepdim=True).clamp(min=torch.finfo(share.dtype).tiny)
        total += torch.bmm(weight, loss[:, :, None])[:, :, 0]
    return total
