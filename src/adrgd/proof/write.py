"""From the record of a proof to a proof that can be checked by `adrgd.recheck`.

Every leaf is tried with the checker's own bounds, first with the usual slopes and then with better ones; a leaf that
they do not refute is split further.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Coefficients, Goal, backward, both_sides, goal
from adrgd.bounds.boxes import losses
from adrgd.bounds.mixture import even
from adrgd.bounds.multipliers import Multipliers, optimise
from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import Relaxation, relax
from adrgd.bounds.slopes import along_lines, free_slopes
from adrgd.errors import AdrgdError
from adrgd.proof.record import Node, Record
from adrgd.recheck.arithmetic import Array, Floats
from adrgd.recheck.backward import Box, bounds
from adrgd.recheck.check import Checker, Leaf
from adrgd.recheck.lines import Lines
from adrgd.recheck.proof import LEAF, WHOLE, Claim, Proof
from adrgd.recheck.steps import Graph

NEURON_STEPS = 8  # of the slopes of each neuron
NEURONS = 128  # whose slopes are found at once
LEAF_STEPS, LAST_STEPS = 40, 200  # of the slopes and multipliers of a leaf; where no neuron bends any more
MARGINS = (0.0, 1e-4, 1e-2)  # by which a leaf's bound has to be too high before its slopes are rounded


class UnwrittenError(AdrgdError):
    """A proof was found, and could not be brought into the form in which it can be checked."""


@dataclass
class _Written:
    """What is written so far, leaf by leaf."""

    splits: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    rows: list[Array] = field(default_factory=list)
    slopes_of: list[int] = field(default_factory=list)
    slopes: list[Array] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def leaf(self, row: Array, weights: Array, shares: Array | None) -> None:
        self.splits.append(LEAF)
        self.rows.append(row)
        self.weights += weights.tolist()
        self.slopes_of.append(-1 if shares is None else len(self.slopes))
        if shares is not None:
            self.slopes.append(shares)


class Writer:
    """Writes the proof of some claims about a network.

    Args:
        network, graph: the same network as its bounds and as the checker see it.
        deadline: a value of `time.monotonic()`, at which it gives up.
        advance: told after every leaf.

    Raises:
        UnwrittenError: the two see different layers.
    """

    def __init__(
        self, network: Network, graph: Graph, claims: Sequence[Claim], *, deadline: float,
        advance: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.network, self.graph, self.claims = network, graph, claims
        self.deadline, self.advance = deadline, advance
        if (network.inputs, network.outputs, network.sizes) != (graph.inputs, graph.outputs, graph.sizes):
            raise UnwrittenError(
                f"the proof cannot be written: expected layers of {network.sizes}, found {graph.sizes} in the file"
            )
        self.checker = Checker(graph, Floats(), {})
        self.rows = max((len(claim.offset) for claim in claims), default=1)
        self.found = _Written()

    def proof(self, record: Record | None) -> Proof:
        """The proof, in the trees that are recorded.

        Raises:
            UnwrittenError: the time is over.
        """
        roots = record.roots if record is not None and record.roots else [Node() for _ in self.claims]
        neurons = sum(self.graph.sizes)
        tables: dict[int, dict[int, tuple[Array, Array]]] = {}
        for claim, root in zip(self.claims, roots, strict=True):
            by_inputs = 0 <= root.variable < self.graph.inputs
            if not by_inputs and claim.box not in tables:
                tables[claim.box] = self._table(claim)
                self.checker = Checker(self.graph, Floats(), tables)
            self._tree(claim, root, by_inputs=by_inputs)
        found = self.found
        shape = (len(found.rows), self.rows)
        return Proof(
            np.array(found.splits, dtype=np.int32), np.array(found.at, dtype=np.float64),
            np.array(found.rows, dtype=np.float64).reshape(shape), np.array(found.slopes_of, dtype=np.int32),
            np.array(found.slopes, dtype=np.uint16).reshape(len(found.slopes), neurons),
            np.array(found.weights, dtype=np.float32),
            {box: table for box, table in tables.items() if table},
        )  # fmt: skip

    def _tree(self, claim: Claim, root: Node, *, by_inputs: bool) -> None:
        inputs = self.graph.inputs
        waiting = [(root, Leaf(claim, Box(claim.lower, claim.upper), ()))]
        while waiting:
            if time.monotonic() > self.deadline:
                raise UnwrittenError("the property is proven, but the time to write the proof is over; give it more")
            node, leaf = waiting.pop()
            if not node.halves:
                refuted = self._refute(leaf)
                if refuted is None:
                    self.advance()
                    continue
                self._divide(node, leaf, refuted, by_inputs=by_inputs)
            self.found.splits.append(node.variable)
            at = node.at if node.variable < inputs else None
            self.found.at += [] if at is None else [at]
            waiting += [(node.halves[k], leaf.half(node.variable, at, inputs, second=bool(k))) for k in (1, 0)]

    def _refute(self, leaf: Leaf) -> tuple[list[Relaxation], Coefficients] | None:
        """Write a leaf, or return what is known of it."""
        around = self.checker.around(leaf)
        single = np.eye(len(leaf.claim.offset), self.rows)
        if around is None:
            self.found.leaf(single[0], np.zeros(len(leaf.signs)), None)
            return None
        relaxations = _relaxations(self.network, around)
        rows = single[:, : len(single)]
        usual = self.checker.values(leaf, around, rows)
        if usual.positive().any():
            best = int(np.argmax(usual.down()))
            self.found.leaf(single[best], np.zeros(len(leaf.signs)), None)
            return None
        box = Boxes(torch.tensor(leaf.box.lower)[None], torch.tensor(leaf.box.upper)[None])
        wanted = self._wanted(leaf.claim)
        _, coefficients = backward(self.network, wanted, relaxations, box)
        scale = float(np.abs(usual.down()).max())
        steps = LEAF_STEPS if any(bool(one.bent.any()) for one in relaxations) else LAST_STEPS
        for margin in MARGINS:
            chosen = _multipliers(self.graph, relaxations, leaf, len(single))
            enough = torch.full((1, 1), margin * scale, dtype=torch.float64)
            linear, coefficients = optimise(
                self.network, wanted, relaxations, box, chosen, None, steps=steps, enough=enough
            )
            if not bool((linear.value > enough).any()):
                break
            for k in (linear.value - enough)[0].argsort(descending=True).tolist():
                shares, weights = self._rounded(relaxations, chosen, leaf, k)
                row = single[k] if k < len(single) else _padded(chosen.sums, self.rows)
                total = self.checker.values(leaf, around, row[None, : len(single)], shares / WHOLE, weights)
                if total.positive()[0]:
                    self.found.leaf(row, weights, shares)
                    return None
        return relaxations, coefficients

    def _wanted(self, claim: Claim) -> Goal:
        on_inputs = None if claim.on_inputs is None else torch.tensor(claim.on_inputs)[None]
        offset = torch.tensor(claim.offset)[None]
        return goal(self.network, len(self.network.sizes), torch.tensor(claim.on_outputs)[None], offset, on_inputs)

    def _rounded(self, relaxations: list[Relaxation], chosen: Multipliers, leaf: Leaf, row: int) -> tuple[Array, Array]:
        """A row's slopes as shares in parts of WHOLE, and its multipliers in single precision."""
        shares = []
        for layer, relaxation in enumerate(relaxations):
            if layer in chosen.slopes:
                shares.append(_shares(relaxation, chosen.slopes[layer][0, row]))
            else:
                shares.append(np.zeros(self.graph.sizes[layer], dtype=np.uint16))
        weights = []
        for neuron, _ in leaf.signs:
            layer, at = self._place(neuron)
            weights.append(float(chosen.weights[layer][0, row, at]))
        return np.concatenate(shares) if shares else np.zeros(0, np.uint16), np.array(weights, np.float32).astype(float)

    def _place(self, neuron: int) -> tuple[int, int]:
        return _place(self.graph, neuron)

    def _divide(self, node: Node, leaf: Leaf, known: tuple[list[Relaxation], Coefficients], *, by_inputs: bool) -> None:
        """Split a leaf that the checker's bounds do not refute: at an input, or at the neuron that costs it most."""
        relaxations, coefficients = known
        lost = torch.cat(losses(coefficients, relaxations), 1)[0]
        fits = torch.cat([one.bent if one.span is not None else torch.zeros_like(one.bent) for one in relaxations], 1)
        lost = lost.masked_fill(~fits[0], -1.0)
        if not by_inputs and float(lost.max()) >= 0:
            node.divide(self.graph.inputs + int(lost.argmax()))
            return
        width = leaf.box.upper - leaf.box.lower
        axis = int(width.argmax())
        at = float((leaf.box.lower[axis] + leaf.box.upper[axis]) / 2)
        if not leaf.box.lower[axis] < at < leaf.box.upper[axis]:
            raise UnwrittenError("the property is proven, but too narrowly for the bounds of a written proof")
        node.divide(axis, at)

    def _table(self, claim: Claim) -> dict[int, tuple[Array, Array]]:
        """Slopes for the bounds of all bent neurons over the claim's box."""
        box = Boxes(torch.tensor(claim.lower)[None], torch.tensor(claim.upper)[None])
        table: dict[int, tuple[Array, Array]] = {}

        def choose(layer: int, lower: Array, upper: Array, known: Sequence[Lines]) -> tuple[Array, Array] | None:
            if layer == 0 or time.monotonic() > self.deadline:
                return None
            bent = relax(self.network.curves[layer], *(torch.tensor(end)[None] for end in (lower, upper))).bent[0]
            own = bent.nonzero()[:, 0]
            relaxations = _relaxations(self.network, known)
            if not len(own) or not any(one.span for one in relaxations):
                return None
            parts = [_best(self.network, layer, some, relaxations, box) for some in torch.split(own, NEURONS)]
            table[layer] = own.numpy().astype(np.int32), np.concatenate(parts, 1)
            return own.numpy(), table[layer][1] / WHOLE

        bounds(self.graph, self.checker.arithmetic, Box(claim.lower, claim.upper), choose)
        return table


def _relaxations(network: Network, known: Sequence[Lines]) -> list[Relaxation]:
    return [
        relax(curve, torch.tensor(one.lower)[None], torch.tensor(one.upper)[None])
        for curve, one in zip(network.curves, known, strict=False)
    ]


def _best(network: Network, layer: int, own: Tensor, relaxations: list[Relaxation], box: Boxes) -> Array:
    """(2, neurons, neurons of all layers before) shares for the best bounds of some neurons."""
    wanted = both_sides(network, layer, own[None])
    rows = 2 * len(own)
    slopes = {k: slope.expand(-1, rows, -1) for k, slope in free_slopes(relaxations).items()}
    best, kept = None, dict(slopes)
    for step in range(NEURON_STEPS + 1):
        linear, coefficients = backward(network, wanted, relaxations, box, slopes=slopes)
        won = torch.ones_like(linear.value, dtype=torch.bool) if best is None else linear.value > best
        best = linear.value if best is None else torch.maximum(best, linear.value)
        kept = {k: torch.where(won[..., None], slopes[k], kept[k]) for k in slopes}
        if step == NEURON_STEPS:
            break
        met = along_lines(network, layer, linear.vertex(box), relaxations, slopes, coefficients)
        for k, slope in slopes.items():
            low, high = relaxations[k].span or (0.0, 0.0)
            target = (slope + torch.where(met[k] > 0, high, low)) / 2
            slopes[k] = torch.where(relaxations[k].bent[:, None], target, slope)
    shares = [
        _shares(relaxation, kept[k][0]) if k in kept else np.zeros((rows, relaxation.lower.shape[1]), np.uint16)
        for k, relaxation in enumerate(relaxations)
    ]
    return np.concatenate(shares, 1).reshape(2, len(own), -1)


def _shares(relaxation: Relaxation, slopes: Tensor) -> Array:
    low, high = relaxation.span or (0.0, 1.0)
    shares = ((slopes - low) / (high - low)).clamp(0, 1) * WHOLE
    bent = relaxation.bent[0].expand_as(shares)
    return np.asarray(torch.where(bent, shares.round(), 0.0).numpy().astype(np.uint16))


def _padded(sums: Tensor | None, rows: int) -> Array:
    """The multipliers of a claim's constraints in their sum, as a row of the file."""
    found = np.zeros(rows)
    if sums is not None:
        found[: sums.shape[1]] = sums[0].numpy()
    return found


def _multipliers(graph: Graph, relaxations: list[Relaxation], leaf: Leaf, functions: int) -> Multipliers:
    sums = even(torch.ones(1, functions)) if functions > 1 else None
    rows = functions + (sums is not None)
    slopes = {k: slope.expand(-1, rows, -1).clone() for k, slope in free_slopes(relaxations).items()}
    sides: dict[int, Tensor] = {}
    for neuron, side in leaf.signs:
        layer, at = _place(graph, neuron)
        sides.setdefault(layer, torch.zeros(1, graph.sizes[layer], dtype=torch.float64))[0, at] = side
    weights = {layer: torch.zeros(1, rows, graph.sizes[layer], dtype=torch.float64) for layer in sides}
    return Multipliers(slopes, sides, weights, sums)


def _place(graph: Graph, neuron: int) -> tuple[int, int]:
    ends = np.cumsum(graph.sizes)
    layer = int(np.searchsorted(ends, neuron, side="right"))
    return layer, neuron - int(ends[layer]) + graph.sizes[layer]
