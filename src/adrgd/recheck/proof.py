"""A proof as data: for each case of a property a tree of splits, and for each leaf what refutes the case there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from adrgd.recheck.arithmetic import Array
from adrgd.recheck.errors import RefusedError

LEAF = -1
WHOLE = 32768
"""Shares of the way between two slopes are kept as whole numbers, up to this one."""


@dataclass(frozen=True)
class Claim:
    """A case: somewhere in the box all of on_outputs y + on_inputs x + offset are zero or less.

    Attributes:
        lower, upper: (inputs,) corners of the box.
        on_outputs: (rows, outputs).
        on_inputs: (rows, inputs), or None.
        offset: (rows,).
        box: a number that cases with the same box share.
    """

    lower: Array
    upper: Array
    on_outputs: Array
    on_inputs: Array | None
    offset: Array
    box: int


@dataclass(frozen=True)
class Proof:
    """All trees, node by node, each node before its two halves.

    Attributes:
        splits: (nodes,) what a node is split at: -1 nothing, it is a leaf; an input's number; or, from the number of
            inputs on, a neuron's, counted through all layers.
        at: where inputs are split, in the order of those nodes; the first half is below.
        rows: (leaves, rows) how often each constraint is counted in what is shown to be above zero.
        slopes_of: (leaves,) which of `slopes` a leaf uses; -1 the usual ones.
        slopes: (tables, neurons) shares, in parts of `WHOLE`.
        weights: of each neuron that was split on the way to each leaf, for all leaves one after the other.
        bounds: for a box, and a layer, neurons and the shares of the slopes of their bounds, as `backward.bounds`
            takes them.
    """

    splits: Array
    at: Array
    rows: Array
    slopes_of: Array
    slopes: Array
    weights: Array
    bounds: Mapping[int, Mapping[int, tuple[Array, Array]]] = field(default_factory=dict)

    @property
    def leaves(self) -> int:
        return int((self.splits == LEAF).sum())

    def check(self, *, inputs: int, sizes: tuple[int, ...], rows: int) -> None:
        """See that all numbers are such as they can be.

        Raises:
            RefusedError: one is not.
        """
        neurons = sum(sizes)
        one = [
            (
                self.splits.ndim == 1 and bool(((self.splits >= LEAF) & (self.splits < inputs + neurons)).all()),
                "splits",
            ),
            (self.at.shape == (int(((self.splits >= 0) & (self.splits < inputs)).sum()),), "places of splits"),
            (bool(np.isfinite(self.at).all()), "places of splits"),
            (self.rows.shape == (self.leaves, rows) and bool(np.isfinite(self.rows).all()), "multipliers"),
            (bool((self.rows >= 0).all()), "multipliers"),
            (self.slopes.ndim == 2 and self.slopes.shape[1] == neurons and _shares(self.slopes), "slopes"),
            (self.slopes_of.shape == (self.leaves,), "slopes"),
            (bool(((self.slopes_of >= -1) & (self.slopes_of < len(self.slopes))).all()), "slopes"),
            (self.weights.ndim == 1 and bool((np.isfinite(self.weights) & (self.weights >= 0)).all()), "multipliers"),
        ]
        for table in self.bounds.values():
            for layer, (own, shares) in table.items():
                before = sum(sizes[:layer])
                fits = 0 < layer < len(sizes) and shares.shape == (2, len(own), before) and _shares(shares)
                one.append((fits and own.ndim == 1 and bool(((own >= 0) & (own < sizes[layer])).all()), "slopes"))
        for fits, what in one:
            if not fits:
                raise RefusedError(f"expected {what} that a proof about this network can have, found others")


def _shares(values: Array) -> bool:
    return values.dtype == np.uint16 and bool((values <= WHOLE).all())
