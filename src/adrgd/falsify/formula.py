"""Linear terms over inputs X_i and outputs Y_j, comparisons between them, and formulas in disjunctive normal form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from adrgd.falsify.property import PropertyError

MOST_CASES = 100_000


class Linear(NamedTuple):
    """A weighted sum of variables plus a constant. The key i >= 0 stands for X_i, and -1 - j for Y_j."""

    weights: dict[int, float]
    constant: float


class Atom(NamedTuple):
    """One constraint: the weighted sum is at most `bound`, or less than it where `strict`."""

    weights: dict[int, float]
    bound: float
    strict: bool


Conjunction = tuple[Atom, ...]

Formula = list[Conjunction]
"""True where at least one of its conjunctions is: [] is never true, [()] always."""


def add(terms: Sequence[Linear]) -> Linear:
    """Their sum."""
    weights: dict[int, float] = {}
    for term in terms:
        for variable, weight in term.weights.items():
            weights[variable] = weights.get(variable, 0.0) + weight
    return Linear({variable: weight for variable, weight in weights.items() if weight}, sum(t.constant for t in terms))


def scale(term: Linear, factor: float) -> Linear:
    """A multiple of it."""
    scaled = {variable: product for variable, weight in term.weights.items() if (product := factor * weight)}
    return Linear(scaled, factor * term.constant)


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
    bound = right.constant - left.constant
    # the short way is that of most constraints in most files
    weights = add([left, scale(right, -1.0)]).weights if right.weights else left.weights
    if not (math.isfinite(bound) and all(map(math.isfinite, weights.values()))):
        raise PropertyError("expected numbers that float64 can hold, found a larger one; rescale the constraint")
    if weights:
        return [(Atom(weights, bound, strict),)]
    return [()] if (bound > 0 if strict else bound >= 0) else []


def disjoin(formulas: Sequence[Formula]) -> Formula:
    """One of them, at least."""
    return [conjunction for formula in formulas for conjunction in formula]


def conjoin(formulas: Sequence[Formula]) -> Formula:
    """All of them.

    Raises:
        PropertyError: multiplying the alternatives out gives too many cases.
    """
    count = math.prod(map(len, formulas))
    if count > MOST_CASES:
        raise PropertyError(
            f"expected at most {MOST_CASES} cases, found {count if count < 10**12 else 'more than 10^12'} when the "
            "alternatives are multiplied out; split the property into several files"
        )
    return [tuple(itertools.chain(*choice)) for choice in itertools.product(*formulas)]


def negate(formula: Formula) -> Formula:
    """Not that."""
    return conjoin([[(_opposite(atom),) for atom in conjunction] for conjunction in formula])


def _opposite(atom: Atom) -> Atom:
    return Atom({variable: -weight for variable, weight in atom.weights.items()}, -atom.bound, not atom.strict)
