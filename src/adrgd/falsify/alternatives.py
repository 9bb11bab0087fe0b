"""From a formula to the conjunctions of which one has to hold: counted first, and written out only if they are few.

Multiplying a formula out can take 2^n conjunctions of n constraints. Their number and their length follow from the
formula's tree without writing any of them down. Nothing here recurses, so that nesting costs no stack.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adrgd.falsify.formula import MOST_CASES, Atom, Conjunction, Formula, Opposite
from adrgd.falsify.property import PropertyError

MOST_CONSTRAINTS = 4_000_000  # of all cases together
CHECKED = 1000  # steps between looks at the clock


class TimeUpError(PropertyError):
    """Reading the files took all the time there was."""


def check_time(deadline: float) -> None:
    """See that it is before the deadline, a value of `time.monotonic()`.

    Raises:
        TimeUpError: it is not.
    """
    if time.monotonic() > deadline:
        raise TimeUpError("expected files that can be read in time, found that the time is up; give it more")


def alternatives(
    formulas: Sequence[Formula], *, deadline: float = math.inf
) -> tuple[list[Atom], Iterator[Conjunction]]:
    """What has to hold for all formulas to hold: some constraints always, and one of several conjunctions with them.

    The conjunctions are made one after the other, as they are asked for.

    Raises:
        PropertyError: there are too many, or they hold too many constraints.
        TimeUpError: the deadline has passed.
    """
    common: list[Atom] = []
    rest = _Node(True, [])
    for formula in formulas:
        if isinstance(formula, Atom):
            common.append(formula)
            continue
        check_time(deadline)
        tree = _tree(formula)
        if tree.cases == 1 and tree.size <= MOST_CONSTRAINTS:
            common += next(_written_out(tree, deadline))
        else:
            rest.parts.append(tree)
    rest.count()
    for count, most, what in (
        (rest.cases, MOST_CASES, "cases"), (rest.size, MOST_CONSTRAINTS, "constraints in all cases together")
    ):  # fmt: skip
        if count > most:
            raise PropertyError(
                f"expected at most {most} {what}, found {count if count < 10**12 else 'more than 10^12'} when the "
                "alternatives are multiplied out; split the property into several files"
            )
    return common, _in_time(_written_out(rest, deadline), deadline)


@dataclass(eq=False)
class _Node:
    """A formula without negations, in which no part of a joint is joined in the same way.

    Attributes:
        every: whether all parts have to hold, or one of them.
        cases, size: of it when multiplied out: how many conjunctions, and how many constraints in them.
    """

    every: bool
    parts: list[Atom | _Node]
    cases: int = 0
    size: int = 0

    def count(self) -> None:
        """Find `cases` and `size`, those of the parts being known; far too many need not be exact."""
        atoms = sum(isinstance(part, Atom) for part in self.parts)
        inner = [part for part in self.parts if isinstance(part, _Node)]
        if not self.every:
            self.cases = atoms + sum(part.cases for part in inner)
            self.size = atoms + sum(part.size for part in inner)
        elif all(part.cases for part in inner):
            self.cases, self.size = 1, atoms
            for part in inner:
                self.size = self.size * part.cases + part.size * self.cases
                self.cases *= part.cases
                if self.cases > 10**30:  # a number with millions of digits would take as long as what it counts
                    break


def _tree(formula: Formula) -> _Node:
    """A formula with the counts of every node."""
    top = _Node(True, [])
    waiting: list[tuple[Formula, bool, _Node]] = [(formula, False, top)]
    nodes = [top]
    while waiting:
        formula, opposite, into = waiting.pop()
        if isinstance(formula, Opposite):
            waiting.append((formula.part, not opposite, into))
        elif isinstance(formula, Atom):
            into.parts.append(_opposite(formula) if opposite else formula)
        else:
            every = formula.every != opposite
            if every != into.every and len(formula.parts) != 1:
                inner = _Node(every, [])
                nodes.append(inner)
                into.parts.append(inner)
                into = inner
            waiting += [(part, opposite, into) for part in reversed(formula.parts)]
    for node in reversed(nodes):  # a part stands behind what it is a part of
        node.count()
    return top


def _written_out(tree: _Node, deadline: float) -> Iterator[Conjunction]:
    """The conjunctions of a tree; those of its parts are kept as lists, each no longer than the whole."""
    known: dict[int, list[Conjunction]] = {}
    waiting = [tree]
    while waiting:
        node = waiting[-1]
        inner = [part for part in node.parts if isinstance(part, _Node)] if node.cases else []
        missing = [part for part in inner if id(part) not in known]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if node is not tree:
            check_time(deadline)
            known[id(node)] = list(_joined(node, known))
    yield from _joined(tree, known)


def _joined(node: _Node, known: dict[int, list[Conjunction]]) -> Iterator[Conjunction]:
    if not node.cases:
        return iter(())
    parts = [[(part,)] if isinstance(part, Atom) else known.pop(id(part)) for part in node.parts]
    if not node.every:
        return itertools.chain(*parts)
    return (tuple(itertools.chain(*choice)) for choice in itertools.product(*parts))


def _in_time(conjunctions: Iterator[Conjunction], deadline: float) -> Iterator[Conjunction]:
    for number, conjunction in enumerate(conjunctions):
        if number % CHECKED == 0:
            check_time(deadline)
        yield conjunction


def _opposite(atom: Atom) -> Atom:
    return Atom({variable: -weight for variable, weight in atom.weights.items()}, -atom.bound, not atom.strict)
