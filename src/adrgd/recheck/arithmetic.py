"""The two arithmetics of a check: float64 with a bound on its own error, and exact numbers.

What is carried backwards through a network is a linear function of one of its tensors. In float64 its coefficients are
off by at most `error`; where the size of the tensor is known, that is paid for in the function's offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from adrgd.recheck.dyadic import Dyadic, add_at

Array = np.ndarray[Any, np.dtype[Any]]
Numbers = Any
"""float64 in an array of numpy, or `Dyadic`."""

UNIT = 2.0**-53
SAFETY = 2.0  # pays for the second order of errors, and for the rounding of their bounds
TINY = 1e-290  # and for numbers below the normal ones


class Linear(Protocol):
    """A linear map between two tensors.

    Attributes:
        terms: numbers that are added up in a result of `pull`, at most.
    """

    @property
    def terms(self) -> int: ...

    def pull(self, rows: Numbers, arithmetic: Arithmetic, *, absolute: bool = False) -> Numbers:
        """Linear functions of the result, rows (n, results), as functions of what the map is given."""


@dataclass
class Function:
    """Linear functions of a tensor, one a row: coefficients (rows, size), and how far they may be off, if at all."""

    value: Numbers
    error: Array | None


class Arithmetic(Protocol):
    """What a check computes with."""

    exact: bool

    def read(self, values: Array) -> Numbers:
        """The numbers of a file."""

    def constant(self, values: Array, absolute: bool) -> Numbers:
        """Those of a network, or their absolute values; remembered."""

    def pulled(self, one: Linear, function: Function) -> Function:
        """A function of what a map is given, from one of its results."""

    def sum(self, one: Function, other: Function) -> Function: ...

    def scatter(self, rows: Numbers, size: int, places: Array) -> Numbers: ...

    def halves(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        """The negative and the positive parts."""

    def rounded(self, function: Function, times: int) -> Function:
        """A function whose coefficients were made by so many roundings."""


class Total:
    """Sums (rows,) that grow, with all that they may have lost."""

    def __init__(self, rows: int, arithmetic: Arithmetic) -> None:
        self.exact = arithmetic.exact
        self.value: Numbers = arithmetic.read(np.zeros(rows))
        self.lost = np.zeros(rows)

    def add(self, rows: Numbers, values: Numbers, sizes: Array) -> None:
        """Add rows @ values; `sizes` are the absolute values of the values."""
        self.value = self.value + rows @ values
        if not self.exact:
            terms = SAFETY * (len(sizes) + 2) * UNIT
            self.lost += terms * (np.abs(rows) @ sizes) + SAFETY * UNIT * np.abs(self.value) + TINY

    def pay(self, error: Array | None, sizes: Array) -> None:
        """Pay for errors of coefficients of something that is never larger than `sizes`."""
        if error is not None:
            self.lost += SAFETY * (error @ sizes) + TINY

    def down(self) -> Array:
        """Float64 that are not above the true sums."""
        if self.exact:
            return np.asarray(self.value.down())
        return np.asarray(self.value - self.lost - SAFETY * UNIT * (np.abs(self.value) + self.lost))

    def positive(self) -> Array:
        """Where the true sums are above zero for certain."""
        return np.asarray(self.value.whole > 0, dtype=bool) if self.exact else self.down() > 0


class Floats:
    """Float64."""

    exact = False

    def read(self, values: Array) -> Numbers:
        return np.asarray(values, dtype=np.float64)

    def constant(self, values: Array, absolute: bool) -> Numbers:
        return np.abs(values) if absolute else values

    def pulled(self, one: Linear, function: Function) -> Function:
        value = one.pull(function.value, self)
        if not one.terms and function.error is None:
            return Function(value, None)
        error = SAFETY * (one.terms + 2) * UNIT * np.abs(function.value) + TINY if one.terms else 0.0
        if function.error is not None:
            error = (1 + SAFETY * (one.terms + 2) * UNIT) * function.error + error
        return Function(value, one.pull(error, self, absolute=True))

    def sum(self, one: Function, other: Function) -> Function:
        value = one.value + other.value
        error = SAFETY * UNIT * np.abs(value) + TINY
        return Function(value, error + sum(part.error for part in (one, other) if part.error is not None))

    def scatter(self, rows: Numbers, size: int, places: Array) -> Numbers:
        found = np.zeros((len(rows), size))
        add_at(found, places, rows)
        return found

    def halves(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        negative = np.minimum(rows, 0.0)
        return negative, rows - negative

    def rounded(self, function: Function, times: int) -> Function:
        error = SAFETY * times * UNIT * np.abs(function.value) + TINY
        return Function(function.value, error if function.error is None else error + function.error)


class Exact:
    """Whole numbers over powers of two."""

    exact = True

    def __init__(self) -> None:
        self.known: dict[int, tuple[Array, Dyadic]] = {}

    def read(self, values: Array) -> Numbers:
        return Dyadic.of(values)

    def constant(self, values: Array, absolute: bool) -> Numbers:
        if id(values) not in self.known:
            self.known[id(values)] = values, Dyadic.of(values)
        return self.known[id(values)][1]

    def pulled(self, one: Linear, function: Function) -> Function:
        return Function(one.pull(function.value, self), None)

    def sum(self, one: Function, other: Function) -> Function:
        return Function(one.value + other.value, None)

    def scatter(self, rows: Numbers, size: int, places: Array) -> Numbers:
        return rows.scattered(size, places)

    def halves(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        return tuple(rows.halves())

    def rounded(self, function: Function, times: int) -> Function:
        return function
