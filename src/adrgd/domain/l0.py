"""A number of coordinates, or of pixels, that may change at all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.domain.ball import WIDER, ball, ball_as_given
from adrgd.domain.box import BoundBox, Box
from adrgd.domain.protocol import Value
from adrgd.errors import DomainError
from adrgd.rows import RowRandom, column


@dataclass(frozen=True)
class L0Ball:
    """At most `k` coordinates of a row differ from the centre's; what changes may go anywhere in `box`.

    Attributes:
        centre: (B, ...).
        k: how many; one number, or (B,).
        box: what each coordinate is kept in.
        pixels: the rows are images (channels, height, width): k counts pixels, all of whose channels may change.
    """

    centre: Tensor
    k: Value
    box: Box
    pixels: bool = False

    def __post_init__(self) -> None:
        for name, value in ball_as_given(self.centre, self.k, self.box, "k").items():
            object.__setattr__(self, {"eps": "k"}.get(name, name), value)

    def bind(self, x: Tensor) -> BoundL0Ball:
        centre, _, box = ball(self.centre, 1.0, self.box, x)
        if box is None:
            raise DomainError("expected a box around the coordinates that may change; give L0Ball one")
        if self.pixels and x.dim() < 3:
            raise DomainError(f"expected images (B, channels, ...) to count pixels of, found shape {tuple(x.shape)}")
        most = x[0, 0].numel() if self.pixels else x[0].numel()
        k = torch.as_tensor(self.k, dtype=torch.float64, device=x.device)
        if wrong := k[(k != k.floor()) | (k < 1) | (k > most)].tolist():
            what = "pixels" if self.pixels else "coordinates"
            raise DomainError(f"expected k to be a whole number of {what} from 1 to {most}, found {wrong[0]:g}")
        if k.dim() > 1 or (k.dim() == 1 and len(k) != len(x)):
            raise DomainError(f"k has shape {tuple(k.shape)}; expected one number, or one for each of {len(x)} rows")
        return BoundL0Ball(centre, box, k.long().expand(len(x)), self.pixels)


@dataclass(frozen=True)
class BoundL0Ball:
    """Points that differ from `centre` (B, ...) in at most `k` (B,) coordinates or pixels, inside `box`."""

    centre: Tensor
    box: BoundBox
    k: Tensor
    pixels: bool

    @property
    def scale(self) -> Tensor:
        # as long, in the Euclidean norm, as k coordinates that move by half of their range
        most = self.centre[0, 0].numel() if self.pixels else self.centre[0].numel()
        return self.box.reach * column((self.k / most).sqrt(), self.centre).to(self.centre)

    @property
    def noise(self) -> Tensor:
        return WIDER * self.scale

    def project(self, x: Tensor) -> Tensor:
        """Nearest is the point that keeps the k changes whose loss would cost most."""
        kept = self.box.project(x)
        gain = (x.double() - self.centre.double()).square() - (x.double() - kept.double()).square()
        gain = torch.where(kept == self.centre, 0, gain)
        return torch.where(self._largest(gain), kept, self.centre)

    def contains(self, x: Tensor) -> Tensor:
        changed = x != self.centre
        changed = changed.any(1) if self.pixels else changed
        return self.box.contains(x) & (changed.flatten(1).sum(1) <= self.k)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        order = random.uniform(tuple(self.centre.shape[1:]), label + " place", dtype=self.centre.dtype)
        order = order[:, :1].expand_as(order) if self.pixels else order
        return torch.where(self._largest(order), self.box.sample(random, label), self.centre)

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """The k coordinates or pixels along which most is to be gained, each to the end of its range."""
        here = self.centre if at is None else at
        move = torch.where(gradient > 0, self.box.high - here, self.box.low - here) * (gradient != 0)
        return torch.where(self._largest((gradient * move).double()), move, 0)

    def _largest(self, worth: Tensor) -> Tensor:
        """Which k coordinates or pixels have the largest positive worth, as a mask of the rows' shape."""
        together = worth.sum(1, keepdim=True) if self.pixels else worth
        flat = together.flatten(1)
        most = int(self.k.max()) if len(flat) else 1
        at = flat.topk(most, dim=1).indices
        counted = torch.arange(most, device=flat.device) < self.k[:, None]
        chosen = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, at, counted) & (flat > 0)
        return chosen.view_as(together).expand_as(worth)
