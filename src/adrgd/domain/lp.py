"""A ball in the p-norm of a change, for any p from 1 on."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Any

import torch
from torch import Tensor

from adrgd.domain.ball import Ball, BoundBall
from adrgd.domain.l1 import L1Ball
from adrgd.domain.l2 import L2Ball
from adrgd.domain.linf import LinfBall
from adrgd.domain.protocol import BoundDomain
from adrgd.errors import DomainError
from adrgd.rows import RowRandom, column

HALVINGS = 60
TANGENTS = 12  # a convex function is met from above by its tangents: twelve are more than any p needs
TINY = 1e-300
CLOSE = 1e-12


@dataclass(frozen=True)
class LpBall(Ball):
    """(sum |x - centre|^p)^(1/p) <= eps over a row, cut by `box` when one is given; eps is a number or (B,).

    Attributes:
        p: from 1 to infinity, both included; 1, 2 and infinity are the balls that have their own names.
    """

    p: float = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            object.__setattr__(self, "p", float(self.p))
        except (TypeError, ValueError):
            raise DomainError(f"expected p of a ball to be a number from 1 on, found {self.p!r}; correct it") from None
        if not self.p >= 1:
            raise DomainError(f"expected p of a ball to be 1 or more, where it is convex, found {self.p:g}; correct it")

    def bind(self, x: Tensor) -> BoundDomain:
        named: dict[float, Any] = {1.0: L1Ball, 2.0: L2Ball, torch.inf: LinfBall}
        if self.p in named:
            found: BoundDomain = named[self.p](self.centre, self.eps, self.box).bind(x)
            return found
        centre, eps, box = self.fitted(x)
        return BoundLpBall(centre, eps, box, self.p)


@dataclass(frozen=True)
class BoundLpBall(BoundBall):
    """Balls in the p-norm around `centre` (B, ...), of radius `eps` (B,) in float64, cut by `box`; 1 < p < infinity."""

    p: float

    @property
    def scale(self) -> Tensor:
        # as long, in the Euclidean norm, as the moves that count: all coordinates alike, or few of them where p < 2
        count, size = self.centre[0].numel(), self.eps
        if self.p >= 2:
            size = self.eps * count ** (0.5 - 1 / self.p)
        elif self.box is not None:
            widest = (self.box.high - self.box.low).double().flatten(1).amax(1).minimum(self.eps)
            size = widest ** (1 - self.p / 2) * self.eps ** (self.p / 2)
        return column(size / count**0.5, self.centre).to(self.centre).expand_as(self.centre)

    def distance(self, x: Tensor) -> Tensor:
        change = (x.double() - self.centre.double()).abs().flatten(1)
        largest = change.amax(1).clamp_min(TINY)  # taken out, so that no power overflows
        found: Tensor = torch.linalg.vector_norm(change / largest[:, None], self.p, dim=1) * largest
        return found

    def project(self, x: Tensor) -> Tensor:
        """Nearest is y with y + price * p * y^(p-1) = |change| in each coordinate, or the box's end before it.

        The price, one a row, is bisected until the sizes y fit the ball.
        """
        change = x.double() - self.centre.double()
        size, room = change.abs().flatten(1), self._room(change > 0).flatten(1)
        largest = size.amax(1, keepdim=True).clamp_min(TINY)
        near = largest * self._sizes(size / largest, room / largest, (self.eps[:, None] / largest))
        moved = (self.centre.double() + change.sign() * near.view_as(change)).to(x)
        moved = moved if self.box is None else self.box.project(moved)
        return torch.where(column(self.contains(x), x), x, self.pulled_in(moved))

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        """Uniform (Barthe et al. 2005): numbers of density exp(-|t|^p), divided by their norm with a share more."""
        shape, dtype = tuple(self.centre.shape[1:]), torch.float64
        u = random.uniform(shape, label + " size", dtype=dtype)
        low, high = torch.zeros_like(u), torch.full_like(u, 40.0 ** (1 / self.p))
        order = torch.full_like(u, 1 / self.p)
        for _ in range(HALVINGS // 2):
            middle = (low + high) / 2
            below = torch.special.gammainc(order, middle**self.p) < u
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        sign = torch.where(random.uniform(shape, label + " sign", dtype=dtype) < 0.5, -1.0, 1.0)
        rest = -torch.log1p(-random.uniform((), label + " radius", dtype=dtype))
        total = (low**self.p).flatten(1).sum(1) + rest
        share = self.eps / total.clamp_min(TINY) ** (1 / self.p)
        return self.project((self.centre.double() + sign * low * column(share, low)).to(self.centre))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """Sizes |gradient|^(1/(p-1)) (Hoelder)."""
        size = gradient.double().abs().flatten(1)
        largest = size.amax(1, keepdim=True)
        share = (size / torch.where(largest > 0, largest, 1)) ** (1 / (self.p - 1))
        length: Tensor = torch.linalg.vector_norm(share, self.p, dim=1)
        step = share * (self.eps / length.clamp_min(TINY))[:, None]
        return (step.view_as(gradient) * gradient.sign()).to(gradient)

    def _room(self, up: Tensor) -> Tensor:
        """How far each coordinate can go from the centre, up or down, within the box."""
        if self.box is None:
            return torch.full_like(self.centre, torch.inf, dtype=torch.float64)
        return torch.where(up, self.box.high - self.centre, self.centre - self.box.low).double().clamp_min(0)

    def _sizes(self, size: Tensor, room: Tensor, eps: Tensor) -> Tensor:
        """(B, n) the sizes of the nearest change, none above `room`; they are measured in the largest of each row."""
        p, q = self.p, self.p / (self.p - 1)
        free = size.minimum(room)
        over = torch.linalg.vector_norm(free, p, dim=1, keepdim=True) / eps
        if not (over > 1).any():
            return free
        # below this price all sizes stay above their share of what is too much; above the other they all fit
        least = ((1 - 1 / over) * size.clamp_min(TINY) ** (2 - p) * over ** (p - 1) / p).clamp_min(TINY)
        low = torch.where((size > 0) & (over > 1), least, torch.inf).amin(1, keepdim=True).clamp_max(1e300).log()
        high = (torch.linalg.vector_norm(size, q, dim=1, keepdim=True) / (p * eps ** (p - 1))).clamp(TINY, 1e300).log()
        log_size, u = size.clamp_min(TINY).log(), torch.zeros_like(size)
        price = (low + high) / 2
        for _ in range(HALVINGS):
            u, fall = self._share(price + (p - 2) * log_size + log(p), u)
            share = size * u.exp()
            near = share.minimum(room)
            length = torch.linalg.vector_norm(near, p, dim=1, keepdim=True).clamp_min(TINY)
            off = (length / eps).log()
            low, high = torch.where(off > 0, price, low), torch.where(off > 0, high, price)
            if ((off.abs() < CLOSE) | (over <= 1) | (high - low < CLOSE)).all():
                break
            # Newton's step in the logarithms of length and price, where it stays between what is known
            slope = (torch.where(share < room, fall, 0) * (near / length) ** p).sum(1, keepdim=True)
            newton = price - off / torch.where(slope < 0, slope, -TINY)
            price = torch.where((newton > low) & (newton < high), newton, (low + high) / 2)
        return torch.where(over > 1, near, free)

    def _share(self, c: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """u with e^u + e^(c + (p-1) u) = 1, by tangents of the logarithm of the left side, which is convex; du / dc."""
        for _ in range(TANGENTS):
            both = torch.logaddexp(u, c + (self.p - 1) * u)
            first = (u - both).exp()
            slope = first + (self.p - 1) * (1 - first)
            u = u - both / slope
            if (both.abs() < CLOSE).all():
                break
        return u, (first - 1) / slope
