"""A square of an image that may change, wherever it lies."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.domain.ball import ball, ball_as_given
from adrgd.domain.box import BoundBox, Box
from adrgd.domain.linf import LinfBall
from adrgd.errors import DomainError
from adrgd.rows import RowRandom, column


@dataclass(frozen=True)
class Patch:
    """Images that differ from `centre` inside one square only; its place is free, in each row of its own.

    Attributes:
        centre: (B, channels, height, width).
        side: of the square, in pixels; all channels of a pixel may change.
        box: what each number is kept in.
        eps: how far a number may go at most, as in `LinfBall`; anywhere in the box unless given.
    """

    centre: Tensor
    side: int
    box: Box
    eps: Any = None

    def __post_init__(self) -> None:
        found = ball_as_given(self.centre, 1.0 if self.eps is None else self.eps, self.box)
        for name, value in found.items():
            object.__setattr__(self, name, None if name == "eps" and self.eps is None else value)

    def bind(self, x: Tensor) -> BoundPatch:
        if x.dim() != 4:
            raise DomainError(f"expected images (B, channels, height, width) for a patch, found shape {tuple(x.shape)}")
        most = min(x.shape[2:])
        whole = isinstance(self.side, Real) and not isinstance(self.side, bool) and self.side % 1 == 0
        if not whole or not 1 <= self.side <= most:
            raise DomainError(
                f"expected the side of a patch to be a whole number from 1 to {most}, found {self.side!r}"
            )
        centre, _, box = ball(self.centre, 1.0, self.box, x)
        if box is None:
            raise DomainError("expected a box around the numbers that may change; give Patch one")
        if self.eps is not None:
            box = LinfBall(centre, self.eps, self.box).bind(x)
        return BoundPatch(centre, box, int(self.side))


@dataclass(frozen=True)
class BoundPatch:
    """Images that differ from `centre` (B, C, H, W) inside one square of this side only, and lie in `box`."""

    centre: Tensor
    box: BoundBox
    side: int

    @property
    def scale(self) -> Tensor:
        # as long, in the Euclidean norm, as a square of numbers that move by half of their range
        height, width = self.centre.shape[2:]
        share: float = self.side / (height * width) ** 0.5
        return self.box.reach * share

    @property
    def noise(self) -> Tensor:
        return self.box.reach

    def project(self, x: Tensor) -> Tensor:
        """Nearest is the point that keeps the square whose loss would cost most."""
        kept = self.box.project(x)
        gain = (x.double() - self.centre.double()).square() - (x.double() - kept.double()).square()
        nearest = torch.where(self._best(gain), kept, self.centre)
        return torch.where(column(self.contains(x), x), x, nearest)

    def contains(self, x: Tensor) -> Tensor:
        changed = (x != self.centre).any(1)
        extents = []
        for places in (changed.any(2), changed.any(1)):  # rows and columns with a change
            first = places.int().argmax(1)
            last = places.shape[1] - 1 - places.flip(1).int().argmax(1)
            extents.append(torch.where(places.any(1), last - first + 1, 0))
        return self.box.contains(x) & (torch.maximum(*extents) <= self.side)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        height, width = self.centre.shape[2:]
        ends = (height - self.side + 1, width - self.side + 1)
        at = [
            (random.uniform((), f"{label} place {k}", dtype=torch.float64) * end).long() for k, end in enumerate(ends)
        ]
        return torch.where(self._square(*at), self.box.sample(random, label), self.centre)

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """The square along whose numbers most is to be gained, each to the end of its range."""
        here = self.centre if at is None else at
        move = torch.where(gradient > 0, self.box.high - here, self.box.low - here) * (gradient != 0)
        return torch.where(self._best((gradient * move).double()), move, 0)

    def _best(self, worth: Tensor) -> Tensor:
        """The square with the largest worth, as a mask (B, 1, H, W)."""
        total = F.avg_pool2d(worth.sum(1, keepdim=True), self.side, 1)[:, 0]
        place = total.flatten(1).argmax(1)
        return self._square(place // total.shape[2], place % total.shape[2])

    def _square(self, top: Tensor, left: Tensor) -> Tensor:
        """The squares that begin at these rows and columns (B,), as a mask (B, 1, H, W)."""
        sides = []
        for start, length in zip((top, left), self.centre.shape[2:], strict=True):
            place = torch.arange(length, device=start.device)
            sides.append((place >= start[:, None]) & (place < start[:, None] + self.side))
        return (sides[0][:, :, None] & sides[1][:, None, :])[:, None]
