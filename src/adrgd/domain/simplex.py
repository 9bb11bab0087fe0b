"""Shares of a whole: numbers that are not negative and have a given sum."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from adrgd.errors import DomainError
from adrgd.rows import RowRandom, column

SLACK = 32  # units in the last place by which the sum of a row may miss the whole


@dataclass(frozen=True)
class Simplex:
    """x >= 0 in every coordinate, and the sum over a row is `total`, as far as numbers of x's type can say that."""

    total: float = 1.0

    def bind(self, x: Tensor) -> BoundSimplex:
        if not isinstance(self.total, Real) or not 0 < self.total < float("inf"):
            raise DomainError(
                f"the total of a simplex must be a positive, finite number, found {self.total!r}; correct it"
            )
        if x[0].numel() < 2:
            raise DomainError("a simplex needs two coordinates at least, found one, which leaves nothing to change")
        return BoundSimplex(
            torch.full((len(x),), self.total, dtype=torch.float64, device=x.device), torch.zeros_like(x)
        )


@dataclass(frozen=True)
class BoundSimplex:
    """Rows of the shape of `zero` (B, ...) that are not negative and have the sum `total` (B,) in float64."""

    total: Tensor
    zero: Tensor

    @property
    def scale(self) -> Tensor:
        return column(self.total / self.zero[0].numel(), self.zero).to(self.zero).expand_as(self.zero)

    @property
    def noise(self) -> Tensor:
        return self.scale

    def project(self, x: Tensor) -> Tensor:
        """All coordinates fall by the same amount, none below zero (Held, Wolfe & Crowder 1974)."""
        flat = x.double().flatten(1)
        flat = flat - flat.amax(1, keepdim=True)  # the projection is the same, and numbers far away keep their digits
        order = flat.sort(dim=1, descending=True).values
        count = torch.arange(1, flat.shape[1] + 1, device=x.device)
        less = (order.cumsum(1) - self.total[:, None]) / count
        last = (order > less).sum(1, keepdim=True).clamp_min(1) - 1
        found = (flat - less.gather(1, last)).clamp_min(0).view_as(x).to(x)
        return torch.where(column(self.contains(x), x), x, found)

    def contains(self, x: Tensor) -> Tensor:
        flat = x.double().flatten(1)
        allowed = SLACK * torch.finfo(x.dtype).eps * self.total
        return (flat >= 0).all(1) & ((flat.sum(1) - self.total).abs() <= allowed)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        """Uniform: exponential numbers as shares of their sum."""
        size = -torch.log1p(-random.uniform(tuple(self.zero.shape[1:]), label, dtype=self.zero.dtype))
        share = self.total.to(size) / size.flatten(1).sum(1).clamp_min(torch.finfo(size.dtype).tiny)
        return self.project(size * column(share, size))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """As far as the whole, along the gradient without what would change the sum."""
        flat = gradient.flatten(1)
        inside = flat - flat.mean(1, keepdim=True)
        length = inside.norm(dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
        step: Tensor = inside / length * self.total[:, None].to(flat)
        return step.view_as(gradient)
