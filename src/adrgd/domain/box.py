"""Lower and upper bounds of every coordinate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.domain.protocol import Value
from adrgd.errors import DomainError
from adrgd.rows import RowRandom


@dataclass(frozen=True)
class Box:
    """lower <= x <= upper, coordinate by coordinate; numbers, or tensors that broadcast to x."""

    lower: Value
    upper: Value

    def bind(self, x: Tensor) -> BoundBox:
        low, high = fit(self.lower, x, "lower"), fit(self.upper, x, "upper")
        if (low > high).any():
            at = int((low > high).flatten().nonzero()[0])
            raise DomainError(
                f"the box is empty: expected lower <= upper, found lower {low.flatten()[at].item():g} above upper "
                f"{high.flatten()[at].item():g}; swap or correct the bounds"
            )
        low, high = (bound.to(x).expand_as(x) for bound in (round_up(low, x.dtype), round_down(high, x.dtype)))
        if (low > high).any():
            raise DomainError(f"the box holds no {x.dtype} number; widen it, or use torch.float64")
        return BoundBox(low, high, (high - low) / 2)


@dataclass(frozen=True)
class BoundBox:
    """Boxes and balls in the largest norm; `reach` (B, ...) is the half-width, or eps for a ball."""

    low: Tensor
    high: Tensor
    reach: Tensor

    @property
    def scale(self) -> Tensor:
        return self.reach

    @property
    def noise(self) -> Tensor:
        return self.reach

    def project(self, x: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(x, self.low), self.high)

    def contains(self, x: Tensor) -> Tensor:
        return ((x >= self.low) & (x <= self.high)).flatten(1).all(1)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        u = random.uniform(tuple(self.low.shape[1:]), label, dtype=self.low.dtype)
        return self.project(self.low + u * (self.high - self.low))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        return gradient.sign() * self.reach


def fit(value: Value, x: Tensor, name: str) -> Tensor:
    """`value` as a float64 tensor of x's shape."""
    try:
        bound = torch.as_tensor(value, dtype=torch.float64, device=x.device)
    except (TypeError, ValueError, RuntimeError):
        raise DomainError(f"{name} must be a number or numbers, found {value!r}; correct it") from None
    try:
        bound = bound.broadcast_to(x.shape)
    except RuntimeError:
        raise DomainError(
            f"{name} has shape {tuple(bound.shape)}; expected one that broadcasts to the inputs' {tuple(x.shape)}"
        ) from None
    if bound.isnan().any() or (bound.isinf().any()):
        raise DomainError(f"{name} holds NaN or infinite values; expected finite bounds")
    return bound


def round_down(bound: Tensor, dtype: torch.dtype) -> Tensor:
    """The largest number of `dtype` at most `bound`."""
    rounded = bound.to(dtype)
    below = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
    return torch.where(rounded.double() > bound, below, rounded)


def round_up(bound: Tensor, dtype: torch.dtype) -> Tensor:
    """The smallest number of `dtype` at least `bound`."""
    return -round_down(-bound, dtype)
