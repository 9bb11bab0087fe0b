"""Several inputs at once, each in a domain of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from adrgd.domain.protocol import BoundDomain, Domain, relaxed
from adrgd.errors import DomainError, UsageError
from adrgd.rows import Common, RowRandom


@dataclass(frozen=True)
class Packing:
    """How several inputs lie in one row.

    Attributes:
        names: those of a dict's inputs; None for a tuple.
        shapes: of one row of each.
    """

    names: tuple[str, ...] | None
    shapes: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(inputs: Mapping[str, Any] | Sequence[Any]) -> Packing:
        """That of inputs (B, ...), a dict or a tuple of tensors.

        Raises:
            UsageError: they are none, no tensors, or do not have as many rows each, of one type.
        """
        names = tuple(inputs) if isinstance(inputs, Mapping) else None
        parts = _parts(inputs)
        if not parts or not all(isinstance(part, Tensor) and part.dim() > 0 for part in parts):
            found = ", ".join(type(part).__name__ for part in parts) or "nothing"
            raise UsageError(f"several inputs must be a dict or a tuple of tensors (B, ...), found {found}; pass these")
        if len({(len(part), part.dtype, part.device) for part in parts}) > 1:
            found = ", ".join(f"{tuple(part.shape)} {str(part.dtype).removeprefix('torch.')}" for part in parts)
            raise UsageError(f"expected several inputs of as many rows each, of one type, on one device, found {found}")
        return Packing(names, tuple(tuple(part.shape[1:]) for part in parts))

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """(B, n) from each input (B, ...)."""
        return torch.cat([part.flatten(1) if part.dim() > 1 else part[:, None] for part in parts], 1)

    def parts(self, x: Tensor) -> list[Tensor]:
        """Each input (B, ...) of x (B, n)."""
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        ends = [*accumulate(sizes)]
        pieces = (x[:, end - size : end] for size, end in zip(sizes, ends, strict=True))
        return [piece.reshape(len(x), *shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def split(self, x: Tensor) -> Any:
        """The dict or tuple of inputs that x (B, n) stands for."""
        parts = self.parts(x)
        return tuple(parts) if self.names is None else dict(zip(self.names, parts, strict=True))

    def model(self, network: Callable[..., Any]) -> Callable[[Tensor], Any]:
        """A network that takes several inputs, by place or by name, as a function of x (B, n)."""

        def run(x: Tensor) -> Any:
            inputs = self.split(x)
            return network(*inputs) if self.names is None else network(**inputs)

        return run


@dataclass(frozen=True)
class Product:
    """One domain for each of several inputs: a dict with the inputs' names, or a tuple in their order.

    `maximize` takes the inputs themselves as x0, a dict or a tuple of the same form; the objective gets them so, and
    `Solution.inputs` has what was found.
    """

    domains: Mapping[str, Domain] | Sequence[Domain]
    packing: Packing | None = None

    def of(self, packing: Packing) -> Product:
        """The same for inputs that lie so in one row.

        Raises:
            UsageError: the inputs have other names, or are more or fewer.
        """
        names = tuple(self.domains) if isinstance(self.domains, Mapping) else None
        if names is not None and packing.names is not None:
            if set(names) != set(packing.names):
                raise UsageError(
                    f"the domains are of {', '.join(names)}, the inputs are {', '.join(packing.names)}; give each "
                    "input one"
                )
            ordered: Any = {name: self.domains[name] for name in packing.names}  # type: ignore[call-overload]
            return Product(ordered, packing)
        if (names is None) != (packing.names is None) or len(self.domains) != len(packing.shapes):
            raise UsageError(
                f"expected a domain for each of {len(packing.shapes)} inputs, in the same form (a dict or a tuple), "
                f"found {len(self.domains)}; give each input one"
            )
        return replace(self, packing=packing)

    def bind(self, x: Tensor) -> BoundProduct:
        if self.packing is None:
            raise DomainError("a Product is for several inputs: pass x0 as a dict or a tuple of tensors")
        bound = [domain.bind(part) for domain, part in zip(_parts(self.domains), self.packing.parts(x), strict=True)]
        return BoundProduct(tuple(bound), Common(self.packing))


@dataclass(frozen=True)
class BoundProduct:
    """Rows (B, n) whose pieces lie in these domains."""

    domains: tuple[BoundDomain, ...]
    form: Common[Packing]

    @property
    def relaxed(self) -> BoundDomain:
        """The same without the condition that numbers be whole, where a part has one."""
        inner = tuple(map(relaxed, self.domains))
        same = all(one is other for one, other in zip(inner, self.domains, strict=True))
        return self if same else BoundProduct(inner, self.form)

    @property
    def scale(self) -> Tensor:
        return self._lengths([domain.scale for domain in self.domains])

    @property
    def noise(self) -> Tensor:
        return self._lengths([domain.noise for domain in self.domains])

    def project(self, x: Tensor) -> Tensor:
        return self._join([domain.project(part) for domain, part in self._pairs(x)])

    def contains(self, x: Tensor) -> Tensor:
        return torch.stack([domain.contains(part) for domain, part in self._pairs(x)]).all(0)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        return self._join([domain.sample(random, f"{label}, input {k}") for k, domain in enumerate(self.domains)])

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        here = [None] * len(self.domains) if at is None else self.form.value.parts(at)
        pairs = zip(self._pairs(gradient), here, strict=True)
        return self._join([domain.steepest(part, place) for (domain, part), place in pairs])

    def _pairs(self, x: Tensor) -> list[tuple[BoundDomain, Tensor]]:
        return list(zip(self.domains, self.form.value.parts(x), strict=True))

    def _join(self, parts: list[Tensor]) -> Tensor:
        return self.form.value.join(parts)

    def _lengths(self, parts: list[Tensor]) -> Tensor:
        """Lengths of coordinates, which need not have a row for each row of x."""
        rows = max(len(part) for part in parts)
        shapes = self.form.value.shapes
        return self._join([part.expand(rows, *shape) for part, shape in zip(parts, shapes, strict=True)])


def _parts(given: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
    return list(given.values()) if isinstance(given, Mapping) else list(given)
