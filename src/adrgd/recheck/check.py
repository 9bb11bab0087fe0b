"""Checking a proof: the trees cover everything, and each leaf's bound, computed again, is above zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adrgd.recheck.arithmetic import Arithmetic, Array, Function, Total
from adrgd.recheck.backward import Box, bounds, least
from adrgd.recheck.errors import RefusedError
from adrgd.recheck.lines import Lines, lines
from adrgd.recheck.proof import LEAF, WHOLE, Claim, Proof
from adrgd.recheck.steps import Graph, Matrix

Signs = tuple[tuple[int, int], ...]
"""Neurons, counted through all layers, and on which side each is: -1 not negative, 1 not positive."""


@dataclass(frozen=True)
class Leaf:
    """A part of a claim: its box, and the signs of some neurons."""

    claim: Claim
    box: Box
    signs: Signs

    def half(self, split: int, at: float | None, inputs: int, *, second: bool) -> Leaf:
        """One side of a split."""
        if at is None:
            return replace(self, signs=(*self.signs, (split - inputs, 1 if second else -1)))
        ends = [self.box.lower.copy(), self.box.upper.copy()]
        ends[0 if second else 1][split] = at
        return replace(self, box=Box(*ends))


class Checker:
    """Bounds of one network, in one arithmetic.

    Args:
        tables: slopes of the bounds over some boxes, by the numbers of the boxes.
    """

    def __init__(
        self, graph: Graph, arithmetic: Arithmetic, tables: Mapping[int, Mapping[int, tuple[Array, Array]]]
    ) -> None:
        self.graph, self.arithmetic = graph, arithmetic
        self.tables = {
            box: {layer: (own, shares.astype(np.float64) / WHOLE) for layer, (own, shares) in table.items()}
            for box, table in tables.items()
        }
        self.known: tuple[tuple[bytes, bytes], list[Lines]] | None = None
        self.ends = np.cumsum([0, *graph.sizes])

    def around(self, leaf: Leaf) -> list[Lines] | None:
        """The lines of all activations in a part; None where it is empty."""
        key = leaf.box.lower.tobytes(), leaf.box.upper.tobytes()
        if self.known is None or self.known[0] != key:
            whole = (leaf.box.lower == leaf.claim.lower).all() and (leaf.box.upper == leaf.claim.upper).all()
            table = self.tables.get(leaf.claim.box, {}) if whole else {}
            self.known = key, bounds(self.graph, self.arithmetic, leaf.box, lambda layer, *_: table.get(layer))
        if not leaf.signs:
            return self.known[1]
        found = []
        for layer, one in enumerate(self.known[1]):
            lower, upper = one.lower.copy(), one.upper.copy()
            for neuron, side in leaf.signs:
                at = neuron - self.ends[layer]
                if 0 <= at < len(lower):
                    if side < 0:
                        lower[at] = max(lower[at], 0.0)
                    else:
                        upper[at] = min(upper[at], 0.0)
            if (lower > upper).any():
                return None
            found.append(lines(self.graph.activations[layer], lower, upper, None))
        return found

    def values(
        self,
        leaf: Leaf,
        around: Sequence[Lines],
        rows: Array,
        shares: Array | None = None,
        weights: Array | None = None,
    ) -> Total:
        """Lower bounds of sums of a claim's constraints, rows (n, constraints)."""
        claim, arithmetic = leaf.claim, self.arithmetic
        many = Function(arithmetic.read(rows), None)
        total = Total(len(rows), arithmetic)
        total.add(many.value, arithmetic.read(claim.offset), np.abs(claim.offset))
        start = {self.graph.output: arithmetic.pulled(Matrix(claim.on_outputs), many)}
        if claim.on_inputs is not None:
            on_inputs = arithmetic.pulled(Matrix(claim.on_inputs), many)
            there = start.get(self.graph.input)
            start[self.graph.input] = on_inputs if there is None else arithmetic.sum(there, on_inputs)
        slopes = None if shares is None else np.split(shares, self.ends[1:-1])
        tilts: dict[int, Array] = {}
        if weights is not None:
            for (neuron, side), weight in zip(leaf.signs, weights.tolist(), strict=True):
                layer = int(np.searchsorted(self.ends, neuron, side="right")) - 1
                row = tilts.setdefault(layer, np.zeros(self.graph.sizes[layer]))
                row[neuron - self.ends[layer]] += side * weight
        return least(self.graph, arithmetic, leaf.box, start, total, around, slopes=slopes, tilts=tilts)


@dataclass
class Checked:
    """What was looked at.

    Attributes:
        leaves: of which `empty` had nothing in them.
        least: the smallest bound of all leaves, rounded down.
    """

    leaves: int = 0
    empty: int = 0
    least: float = np.inf


def check(
    graph: Graph, claims: Sequence[Claim], proof: Proof, arithmetic: Arithmetic,
    advance: Callable[[], None] = lambda: None,
) -> Checked:  # fmt: skip
    """Check a proof that no claim holds.

    Raises:
        RefusedError: it does not show that, and why.
    """
    rows = max((len(claim.offset) for claim in claims), default=1)
    proof.check(inputs=graph.inputs, sizes=graph.sizes, rows=rows)
    checker = Checker(graph, arithmetic, proof.bounds)
    done, at_weight = Checked(), 0
    for leaf in walk(graph, claims, proof):
        count = len(leaf.signs)
        weights = proof.weights[at_weight : at_weight + count].astype(np.float64)
        at_weight += count
        if len(weights) < count:
            raise RefusedError("expected a multiplier for every sign of every leaf, found fewer")
        table = int(proof.slopes_of[done.leaves])
        shares = None if table < 0 else proof.slopes[table].astype(np.float64) / WHOLE
        row = proof.rows[done.leaves]
        if row[len(leaf.claim.offset) :].any():
            raise RefusedError(f"leaf {done.leaves} counts a constraint that its case does not have")
        around = checker.around(leaf)
        if around is None:
            done.empty += 1
        else:
            total = checker.values(leaf, around, row[None, : len(leaf.claim.offset)], shares, weights)
            least_value = float(total.down()[0])
            if not total.positive()[0]:
                raise RefusedError(
                    f"the bound of leaf {done.leaves} is {least_value:.6g} and would have to be above zero: the file "
                    "does not prove the property"
                )
            done.least = min(done.least, least_value)
        done.leaves += 1
        advance()
    if at_weight != len(proof.weights):
        raise RefusedError("expected a multiplier for every sign of every leaf, found more")
    return done


def walk(graph: Graph, claims: Sequence[Claim], proof: Proof) -> Iterator[Leaf]:
    """All leaves in their order; together they are all of all claims.

    Raises:
        RefusedError: the trees end too early or too late, or split a box outside itself.
    """
    node = place = 0
    for number, claim in enumerate(claims):
        waiting = [Leaf(claim, Box(claim.lower, claim.upper), ())]
        while waiting:
            leaf = waiting.pop()
            if node == len(proof.splits):
                raise RefusedError(f"the proof ends in case {number}: leaves are missing")
            split = int(proof.splits[node])
            node += 1
            if split == LEAF:
                yield leaf
                continue
            at = None
            if split < graph.inputs:
                at = float(proof.at[place])
                place += 1
                if not leaf.box.lower[split] <= at <= leaf.box.upper[split]:
                    raise RefusedError(f"a box is split at {at!r}, outside itself")
            waiting += [leaf.half(split, at, graph.inputs, second=second) for second in (True, False)]
    if node != len(proof.splits):
        raise RefusedError("the proof has more leaves than the property has cases")
