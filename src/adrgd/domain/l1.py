"""A ball in the sum of absolute changes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.domain.ball import Ball, BoundBall
from adrgd.domain.box import BoundBox
from adrgd.rows import RowRandom, column


@dataclass(frozen=True)
class L1Ball(Ball):
    """sum |x - centre| <= eps over a row, cut by `box` when one is given; eps is a number or (B,)."""

    def bind(self, x: Tensor) -> BoundL1Ball:
        centre, eps, box = self.fitted(x)
        return BoundL1Ball(centre, eps, box)


@dataclass(frozen=True)
class BoundL1Ball(BoundBall):
    """Balls in the sum of absolute changes around `centre` (B, ...), of radius `eps` (B,) in float64, cut by `box`."""

    @property
    def scale(self) -> Tensor:
        # as long, in the Euclidean norm, as the moves that count here: whole coordinates, as many as eps pays for
        moves = self.eps if self.box is None else (self.eps * self._widest(self.box).minimum(self.eps)).sqrt()
        return column(moves / self.centre[0].numel() ** 0.5, self.centre).to(self.centre).expand_as(self.centre)

    def project(self, x: Tensor) -> Tensor:
        """Nearest are the changes made smaller by the same amount, none of them beyond the box (or through zero)."""
        change = x.double() - self.centre.double()
        room = self._room(change > 0, self.centre)
        less = column(_less(change.abs().flatten(1), room.flatten(1), self.eps), x)
        size = torch.minimum((change.abs() - less).clamp_min_(0), room)
        moved = (self.centre.double() + change.sign() * size).to(x)
        moved = moved if self.box is None else self.box.project(moved)
        nearest = self.pulled_in(moved)
        return torch.where(column(self.contains(x), x), x, nearest)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        shape, dtype = tuple(self.centre.shape[1:]), self.centre.dtype
        # exponential numbers as shares of their sum, to which one for the rest of the radius belongs
        size = -torch.log1p(-random.uniform(shape, label + " size", dtype=dtype))
        rest = -torch.log1p(-random.uniform((), label + " radius", dtype=dtype))
        sign = torch.where(random.uniform(shape, label + " sign", dtype=dtype) < 0.5, -1.0, 1.0).to(dtype)
        share = self.eps.to(dtype) / (size.flatten(1).sum(1) + rest)
        return self.project(self.centre + sign * size * column(share, size))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """The coordinates with the largest slopes, each as far as the box lets it go, until eps is spent."""
        room = self._room(gradient > 0, self.centre if at is None else at)
        room = room.minimum(column(self.eps, gradient)).flatten(1)
        order = gradient.abs().flatten(1).argsort(dim=1, descending=True)
        in_order = room.gather(1, order)
        over = (in_order.cumsum(1) - self.eps[:, None]).clamp_min_(0)
        size = torch.zeros_like(room).scatter_(1, order, (in_order - over).clamp_min_(0))
        return size.view_as(gradient).to(gradient) * gradient.sign()

    def _room(self, up: Tensor, here: Tensor) -> Tensor:
        """How far each coordinate can go from `here`, up or down, within the box."""
        if self.box is None:
            return torch.full_like(here, torch.inf, dtype=torch.float64)
        return torch.where(up, self.box.high - here, here - self.box.low).double().clamp_min_(0)

    @staticmethod
    def _widest(box: BoundBox) -> Tensor:
        return (box.high - box.low).double().flatten(1).amax(1)

    def distance(self, x: Tensor) -> Tensor:
        return (x.double() - self.centre.double()).abs().flatten(1).sum(1)


def _less(size: Tensor, room: Tensor, eps: Tensor) -> Tensor:
    """(B,) by how much all sizes (B, n) must fall, none below zero, for sum min(size - less, room) <= eps."""
    ends = torch.cat([size, (size - room).clamp_min(0)], 1)  # a coordinate counts while `less` is between these
    steps = torch.cat([torch.ones_like(size), -torch.ones_like(size)], 1)
    ends, order = ends.sort(dim=1, descending=True)
    count = steps.gather(1, order).cumsum(1)
    below = torch.cat([ends[:, 1:], torch.zeros_like(ends[:, :1])], 1)
    total = (count * (ends - below)).cumsum(1)  # of the sizes, where `less` is `below`
    over = total - eps[:, None]
    first = (over > 0).int().argmax(1, keepdim=True)
    less = below.gather(1, first) + over.gather(1, first) / count.gather(1, first).clamp_min(1)
    return torch.where(over[:, -1] > 0, less[:, 0], 0)
