"""Arrays of whole numbers over a power of two: every float64 is one, and so are their sums and products, exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def add_at(found: Array, places: Array, rows: Array) -> None:
    """Add each column of rows to that of `found` which `places` names; a place may be named more than once."""
    if len(places) == 0 or np.bincount(places).max() <= 1:
        found[:, places] = found[:, places] + rows
    else:
        np.add.at(found.T, places, rows.T)


class Dyadic:
    """The numbers `whole / 2**exponent`, with Python's integers in an array of objects."""

    def __init__(self, whole: Array, exponent: int) -> None:
        self.whole, self.exponent = whole, exponent

    @classmethod
    def of(cls, values: Array) -> Dyadic:
        """These float64, exactly."""
        flat = np.asarray(values, dtype=np.float64).reshape(-1)
        pairs = [value.as_integer_ratio() for value in flat.tolist()]
        exponent = max((below.bit_length() - 1 for _, below in pairs), default=0)
        whole = np.empty(len(flat), dtype=object)
        whole[:] = [above << (exponent - below.bit_length() + 1) for above, below in pairs]
        return cls(whole.reshape(np.shape(values)), exponent)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.whole.shape)

    def __len__(self) -> int:
        return len(self.whole)

    def __add__(self, other: Dyadic) -> Dyadic:
        most = max(self.exponent, other.exponent)
        return Dyadic(self._over(most) + other._over(most), most)

    def __neg__(self) -> Dyadic:
        return Dyadic(-self.whole, self.exponent)

    def __mul__(self, other: Dyadic) -> Dyadic:
        return Dyadic(self.whole * other.whole, self.exponent + other.exponent)

    def __matmul__(self, other: Dyadic) -> Dyadic:
        return Dyadic(np.asarray(self.whole @ other.whole, dtype=object), self.exponent + other.exponent)

    def __getitem__(self, place: Any) -> Dyadic:
        return Dyadic(self.whole[place], self.exponent)

    @property
    def T(self) -> Dyadic:  # noqa: N802  numpy's name
        return Dyadic(self.whole.T, self.exponent)

    def transpose(self, *axes: int) -> Dyadic:
        return Dyadic(self.whole.transpose(*axes), self.exponent)

    def reshape(self, *shape: int) -> Dyadic:
        return Dyadic(self.whole.reshape(*shape), self.exponent)

    def scattered(self, size: int, places: Array) -> Dyadic:
        """(rows, size) with each column added to the one that `places` names."""
        found = np.zeros((len(self.whole), size), dtype=object)
        add_at(found, places, self.whole)
        return Dyadic(found, self.exponent)

    def halves(self) -> tuple[Dyadic, Dyadic]:
        """The negative and the positive parts."""
        negative = np.minimum(self.whole, 0)
        return Dyadic(negative, self.exponent), Dyadic(self.whole - negative, self.exponent)

    def down(self) -> Array:
        """The largest float64 that are not larger."""
        return np.array([_down(whole, self.exponent) for whole in self.whole.reshape(-1).tolist()]).reshape(self.shape)

    def _over(self, exponent: int) -> Array:
        return self.whole << (exponent - self.exponent) if exponent > self.exponent else self.whole


def _down(whole: int, exponent: int) -> float:
    exact = Fraction(whole, 1 << exponent)
    try:
        near = float(exact)
    except OverflowError:
        return -math.inf if whole < 0 else math.nextafter(math.inf, 0.0)
    return math.nextafter(near, -math.inf) if Fraction(near) > exact else near
