"""Batches whose rows are independent problems: picking rows, and random numbers that belong to a row.

A row's random numbers depend on the seed, the row's identity, a label and an iteration, and on nothing else. So the
batch size, finished rows that were dropped, and the machine that a shard runs on change no result.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

GOLDEN = 0x9E3779B97F4A7C15
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class Common(Generic[T]):
    """What all rows have in common: `take` leaves it as it is, whatever it holds."""

    def __init__(self, value: T) -> None:
        self.value = value


def take(tree: T, index: Tensor) -> T:
    """Keep the rows `index` of every tensor in a nest of dataclasses, lists, tuples and dicts; the rest stays as it is.

    Zero-dimensional tensors are settings rather than rows, and stay as well.
    """
    found: Any = tree
    if isinstance(found, Tensor):
        return found[index] if found.dim() else found  # type: ignore[return-value]
    if isinstance(found, list | tuple):
        items = [take(item, index) for item in found]
        return type(found)(*items) if hasattr(found, "_fields") else type(found)(items)  # type: ignore[return-value]
    if isinstance(found, dict):
        return {key: take(item, index) for key, item in found.items()}  # type: ignore[return-value]
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        fields = [field.name for field in dataclasses.fields(found) if field.init]
        changed: Any = dataclasses.replace(found, **{name: take(getattr(found, name), index) for name in fields})
        return changed  # type: ignore[no-any-return]
    return tree


def column(row_values: Tensor, like: Tensor) -> Tensor:
    """Shape (B,) values so that they broadcast over the rows of `like` (B, ...)."""
    return row_values.view(-1, *[1] * (like.dim() - 1))


def norm(x: Tensor) -> Tensor:
    """The Euclidean norm of each row of x (B, ...), as (B,)."""
    lengths: Tensor = x.flatten(1).norm(dim=1)
    return lengths


@dataclasses.dataclass(frozen=True)
class RowRandom:
    """Counter-based random numbers (splitmix64), the same on every device.

    Attributes:
        keys: (B,) int64, one stream a row.
    """

    keys: Tensor

    @staticmethod
    def seeded(seed: int, rows: Tensor) -> RowRandom:
        """Streams for the rows with these identities (B,), e.g. positions in a data set."""
        return RowRandom(_mix(_mix(rows.to(torch.int64) + _signed(GOLDEN)) + _signed(seed * GOLDEN)))

    def uniform(self, shape: tuple[int, ...], label: str, t: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """(B, *shape) independent numbers in [0, 1), with 24 random bits each."""
        count = math.prod(shape)
        return ((self._bits(count, label, t) & 0xFFFFFF).to(dtype) / 2**24).view(-1, *shape)

    def normal(self, shape: tuple[int, ...], label: str, t: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """(B, *shape) independent standard normal numbers: Box-Muller, two from each 64 bits."""
        count = math.prod(shape)
        bits = self._bits((count + 1) // 2, label, t)
        radius = ((bits & 0xFFFFFFFF).to(dtype) + 1).mul_(2.0**-32).log_().mul_(-2).sqrt_()
        angle = ((bits >> 32) & 0xFFFFFFFF).to(dtype).mul_(2 * math.pi * 2.0**-32)
        both = torch.cat([radius * angle.cos(), radius * angle.sin()], 1)
        return both[:, :count].reshape(-1, *shape)

    def _bits(self, count: int, label: str, t: int) -> Tensor:
        stream = _signed((zlib.crc32(label.encode()) * 2**32 + t) * GOLDEN)
        steps = torch.arange(1, count + 1, device=self.keys.device) * _signed(GOLDEN)
        return _mix(_mix(self.keys + stream)[:, None] + steps)


def _mix(z: Tensor) -> Tensor:
    for shift, factor in zip((30, 27), FACTORS, strict=True):
        z = (z ^ _shift(z, shift)) * _signed(factor)
    return z ^ _shift(z, 31)


def _shift(z: Tensor, by: int) -> Tensor:
    shifted: Tensor = (z >> by) & (2 ** (64 - by) - 1)  # a logical shift: torch's own copies the sign bit
    return shifted


def _signed(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def one_hot(rows: Any) -> bool:
    """Whether a tensor or an array (B, C) holds a single 1 and otherwise 0 in each row."""
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(1) == 1).all())
