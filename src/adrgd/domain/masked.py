"""Only some coordinates may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adrgd.domain.discrete import BoundDiscrete
from adrgd.domain.ellipsoid import BoundEllipsoid
from adrgd.domain.polytope import BoundPolytope
from adrgd.domain.protocol import BoundDomain, Domain, relaxed
from adrgd.errors import DomainError
from adrgd.rows import RowRandom


def as_mask(given: Any) -> Tensor:
    """What may change, as truth values, from truth values or numbers in any form: what is not zero may.

    Raises:
        DomainError: it is something else, or holds NaN.
    """
    try:
        found = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise DomainError(
            f"a mask must be truth values or numbers, found {type(given).__name__}; pass an array or a tensor"
        ) from None
    if found.is_floating_point() and found.isnan().any():
        raise DomainError("the mask holds NaN; expected numbers, 0 where nothing may change")
    return found != 0


@dataclass(frozen=True)
class Masked:
    """`domain`, in which only the coordinates where `mask` is true may differ from `held`.

    Attributes:
        domain: any other, which holds the points of `held` (a ball around them, say).
        mask: true and false, broadcasting to the rows.
        held: (B, ...) what the other coordinates stay at.
    """

    domain: Domain
    mask: Tensor
    held: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", as_mask(self.mask))

    def bind(self, x: Tensor) -> BoundMasked:
        try:
            free = self.mask.to(x.device).broadcast_to(x.shape)
            held = self.held.to(x).broadcast_to(x.shape)
        except RuntimeError:
            raise DomainError(
                f"the mask and what is held have shapes {tuple(self.mask.shape)} and {tuple(self.held.shape)}; "
                f"expected ones that broadcast to the inputs' {tuple(x.shape)}"
            ) from None
        if not free.flatten(1).any(1).all():
            raise DomainError("the mask leaves nothing to change in some rows; expected a true entry in each")
        inner = self.domain.bind(held)
        if isinstance(inner, BoundPolytope | BoundDiscrete | BoundEllipsoid):
            raise DomainError(
                f"Masked holds numbers that do not depend on each other, found {type(self.domain).__name__}; hold them "
                "by a box whose lower and upper bounds are the same there"
            )
        return BoundMasked(inner, free, inner.project(held))


@dataclass(frozen=True)
class BoundMasked:
    """The points of `inner` that equal `held` (B, ...) wherever they are not `free`."""

    inner: BoundDomain
    free: Tensor
    held: Tensor

    @property
    def relaxed(self) -> BoundDomain:
        """The same without the condition that numbers be whole, where the inner domain has one."""
        inner = relaxed(self.inner)
        return self if inner is self.inner else BoundMasked(inner, self.free, self.held)

    @property
    def scale(self) -> Tensor:
        return torch.where(self.free, self.inner.scale, 0)

    @property
    def noise(self) -> Tensor:
        return torch.where(self.free, self.inner.noise, 0)

    def project(self, x: Tensor) -> Tensor:
        return self._held(self.inner.project(self._held(x)))

    def contains(self, x: Tensor) -> Tensor:
        return self.inner.contains(x) & ((x == self.held) | self.free).flatten(1).all(1)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        return self.project(self.inner.sample(random, label))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        return self.inner.steepest(torch.where(self.free, gradient, 0), at)

    def _held(self, x: Tensor) -> Tensor:
        return torch.where(self.free, x, self.held)
