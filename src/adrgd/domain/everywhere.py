"""All of space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.errors import DomainError
from adrgd.rows import RowRandom


@dataclass(frozen=True)
class Everywhere:
    """No bounds. `spread` is the natural length of a coordinate: starts are normal with this standard deviation."""

    spread: float = 1.0

    def bind(self, x: Tensor) -> BoundEverywhere:
        if not 0 < self.spread < float("inf"):
            raise DomainError(f"the spread of an unbounded domain must be positive and finite, found {self.spread:g}")
        return BoundEverywhere(torch.full_like(x, self.spread))


@dataclass(frozen=True)
class BoundEverywhere:
    """All of space; `scale` (B, ...) is the natural length of each coordinate."""

    scale: Tensor

    @property
    def noise(self) -> Tensor:
        return self.scale

    def project(self, x: Tensor) -> Tensor:
        return x

    def contains(self, x: Tensor) -> Tensor:
        return x.isfinite().flatten(1).all(1)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        return random.normal(tuple(self.scale.shape[1:]), label, dtype=self.scale.dtype) * self.scale

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        return gradient.sign() * self.scale
