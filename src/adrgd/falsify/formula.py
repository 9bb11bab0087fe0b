"""Linear terms over inputs X_i and outputs Y_j, comparisons between them, and formulas made of comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, Self, TypeAlias

from adrgd.falsify.property import PropertyError

MOST_CASES = 100_000
"""Into which the alternatives of a property may multiply out."""


class Written(float):
    """A number as a file has it, which float64 may hold only nearly.

    Attributes:
        decimal: all of its digits.
    """

    decimal: Decimal

    def __new__(cls, value: str | float, decimal: Decimal | None = None) -> Self:
        made = super().__new__(cls, value)
        try:
            made.decimal = Decimal(value) if decimal is None else decimal
        except InvalidOperation:  # an exponent beyond any
            made.decimal = Decimal(float(made))
        return made

    def __neg__(self) -> Written:
        return Written(-float(self), -self.decimal)

    def at_most(self) -> float:
        """The largest float64 at most the number as it is written."""
        return math.nextafter(self, -math.inf) if Decimal(float(self)) > self.decimal else float(self)

    def at_least(self) -> float:
        """The smallest float64 at least the number as it is written."""
        return math.nextafter(self, math.inf) if Decimal(float(self)) < self.decimal else float(self)


class Linear(NamedTuple):
    """A weighted sum of variables plus a constant. The key i >= 0 stands for X_i, and -1 - j for Y_j."""

    weights: dict[int, float]
    constant: float


class Atom(NamedTuple):
    """One constraint: the weighted sum is at most `bound`, or less than it where `strict`."""

    weights: dict[int, float]
    bound: float
    strict: bool


class Joint(NamedTuple):
    """All of its parts, or with `every` false at least one of them: all of nothing is true, one of nothing is not."""

    every: bool
    parts: Sequence[Formula]


class Opposite(NamedTuple):
    """Not its part."""

    part: Formula


Formula: TypeAlias = Atom | Joint | Opposite

TRUE, FALSE = Joint(True, ()), Joint(False, ())

Conjunction = tuple[Atom, ...]


def add(terms: Sequence[Linear]) -> Linear:
    """Their sum."""
    weights: dict[int, float] = {}
    for term in terms:
        for variable, weight in term.weights.items():
            weights[variable] = weights.get(variable, 0.0) + weight
    return Linear({variable: weight for variable, weight in weights.items() if weight}, sum(t.constant for t in terms))


def scale(term: Linear, factor: float) -> Linear:
    """A multiple of it."""
    if factor == 1:
        return term
    scaled = {variable: product for variable, weight in term.weights.items() if (product := factor * weight)}
    return Linear(scaled, -term.constant if factor == -1 else factor * term.constant)


def multiply(terms: Sequence[Linear]) -> Linear:
    """Their product.

    Raises:
        PropertyError: more than one of them holds a variable.
    """
    product = Linear({}, 1.0)
    for term in terms:
        if product.weights and term.weights:
            raise PropertyError("expected linear terms, found a product of variables; only constants may be factors")
        product = scale(product, term.constant) if product.weights else scale(term, product.constant)
    return product


def at_most(left: Linear, right: Linear, *, strict: bool = False) -> Formula:
    """left <= right, or left < right.

    Raises:
        PropertyError: a number in it is too large for float64.
    """
    if not left.constant:
        bound = right.constant
    else:
        bound = right.constant - left.constant if right.constant else -left.constant
    # the short way is that of most constraints in most files
    weights = add([left, scale(right, -1.0)]).weights if right.weights else left.weights
    if not (math.isfinite(bound) and all(map(math.isfinite, weights.values()))):
        raise PropertyError("expected numbers that float64 can hold, found a larger one; rescale the constraint")
    if weights:
        return Atom(weights, bound, strict)
    return TRUE if (bound > 0 if strict else bound >= 0) else FALSE
