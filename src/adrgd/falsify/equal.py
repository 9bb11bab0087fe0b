"""Inputs that a property makes equal, as X_0 = X_5 of two networks: one number instead of two and an equation.

No search by gradients would ever meet the equation.
"""

from __future__ import annotations

from collections.abc import Sequence

from adrgd.falsify.formula import Atom


def tied(common: Sequence[Atom], inputs: int) -> tuple[int, ...] | None:
    """For each input the number of what it becomes, where constraints that always hold make some equal; else None."""
    below = {
        (low, high) for atom in common if not atom.bound and not atom.strict and (pair := _pair(atom))
        for low, high in [pair]
    }  # fmt: skip
    leader = list(range(inputs))

    def first(at: int) -> int:
        while leader[at] != at:
            leader[at] = leader[leader[at]]
            at = leader[at]
        return at

    for low, high in below:
        if low < high and (high, low) in below and high < inputs:
            low, high = sorted((first(low), first(high)))
            leader[high] = low
    if leader == list(range(inputs)):
        return None
    places: dict[int, int] = {}
    return tuple(places.setdefault(first(at), len(places)) for at in range(inputs))


def renumbered(atoms: Sequence[Atom], columns: Sequence[int]) -> list[Atom] | None:
    """The same constraints on what the inputs become, without those that always hold; None where one never does."""
    found = []
    for atom in atoms:
        weights: dict[int, float] = {}
        for variable, weight in atom.weights.items():
            at = columns[variable] if variable >= 0 else variable
            weights[at] = weights.get(at, 0.0) + weight
        weights = {variable: weight for variable, weight in weights.items() if weight}
        if weights:
            found.append(Atom(weights, atom.bound, atom.strict))
        elif atom.bound < 0 or (atom.strict and not atom.bound):
            return None
    return found


def _pair(atom: Atom) -> tuple[int, int] | None:
    """The inputs (a, b) of a constraint a <= b; None for any other."""
    if len(atom.weights) != 2:
        return None
    (a, weight), (b, other) = atom.weights.items()
    if a < 0 or b < 0 or weight != -other:
        return None
    return (a, b) if weight > 0 else (b, a)
