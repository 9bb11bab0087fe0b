"""Linear functions over the part of a box that lies in a ball of the norm l2 or l1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

TURNS = 4  # towards the best multiplier of the ball; every one gives a bound
WIDER = 1 + 1e-9  # for the rounding of sums and roots
TINY = 1e-30


@dataclass(frozen=True)
class Ball:
    """Points x with |x - centre| <= radius, in one of the two norms; centre (boxes, inputs)."""

    norm: Literal["l2", "l1"]
    centre: Tensor
    radius: float

    def take(self, rows: Tensor) -> Ball:
        """The balls with these indices."""
        return replace(self, centre=self.centre[rows])

    def least(self, slope: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """A lower bound of linear functions (boxes, rows, inputs) in ball and box (boxes, inputs): (boxes, rows)."""
        return torch.bmm(slope, self.centre[:, :, None])[:, :, 0] + self._moved(slope, lower, upper)[0]

    def minimiser(self, slope: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Points (boxes, rows, inputs) where the functions are least, up to rounding."""
        return self.centre[:, None] + self._moved(slope, lower, upper)[1]

    def _moved(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The least value and where it is taken, from the centre on."""
        low, high = ((end - self.centre)[:, None] for end in (lower, upper))
        corner = torch.where(slope > 0, low, high)
        if self.norm == "l1":
            return _greedy(slope, corner, self.radius * WIDER)
        return _between(slope, low, high, corner, self.radius * WIDER)


def _greedy(slope: Tensor, corner: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """What moves where the slopes are largest, each as far as it can, until the radius is used up."""
    worth, order = slope.abs().sort(-1, descending=True)
    room = corner.abs().gather(-1, order)
    before = room.cumsum(-1) - room
    step = torch.minimum(room, (radius - before).clamp(min=0))
    moved = torch.zeros_like(slope).scatter(-1, order, step) * corner.sign()
    return -(worth * step).sum(-1), moved


def _between(slope: Tensor, low: Tensor, high: Tensor, corner: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """The dual of the ball: least over the box of slope d + m (d^2 - radius^2 / n), for some multipliers m >= 0."""
    best = torch.maximum((slope * corner).sum(-1), -radius * slope.norm(dim=-1))
    multiplier = slope.norm(dim=-1, keepdim=True) / (2 * radius)
    moved = corner
    for _ in range(TURNS):
        multiplier = multiplier.clamp(min=TINY)
        moved = torch.minimum(torch.maximum(-slope / (2 * multiplier), low), high)
        value = (slope * moved + multiplier * moved * moved).sum(-1) - multiplier[..., 0] * radius * radius
        best = torch.maximum(best, value)
        fixed = (moved <= low) | (moved >= high)
        spent = (moved * moved * fixed).sum(-1, keepdim=True)
        free = (slope * slope * ~fixed).sum(-1, keepdim=True)
        multiplier = free.sqrt() / (2 * (radius * radius - spent).clamp(min=TINY).sqrt())
    length = moved.norm(dim=-1, keepdim=True)
    return best, moved * (radius / length.clamp(min=TINY)).clamp(max=1)
