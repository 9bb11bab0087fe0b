"""Branch and bound over the signs of neurons: for networks with many inputs.

All pre-activations are bounded once over each box. A part of a claim is then described by the signs of some neurons:
there the lines of those neurons are exact, and multipliers bring in what the signs say of the inputs. The neuron to
split is the one, of a few that cost the bound most, whose two halves have the best bounds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Coefficients, Goal, LinearBound, backward
from adrgd.bounds.boxes import losses
from adrgd.bounds.lines import Interval
from adrgd.bounds.margins import Margins
from adrgd.bounds.mixture import even
from adrgd.bounds.multipliers import Multipliers, optimise
from adrgd.bounds.network import Network, values_of
from adrgd.bounds.refine import intervals_of
from adrgd.bounds.relaxation import Relaxation, relax
from adrgd.bounds.slopes import free_slopes
from adrgd.bounds.stairs import end_of_half
from adrgd.proof.claims import Accept, Claims
from adrgd.proof.outcome import Outcome
from adrgd.proof.record import Record, Split

ENTRIES = 1_500_000  # neurons, over all parts, that are bounded at once
LARGEST = 128  # parts at once
ROOT_STEPS, STEPS, LAST_STEPS = 30, 12, 200  # of multipliers: at first, after a split, where nothing is left to split
NEURON_STEPS = 2  # of the slopes of each neuron, in the second pass over all of them
TRIED = 4  # neurons whose halves are looked at
OFFERS = 4  # points that the judge sees

Watch = Callable[[Tensor, Tensor, Tensor], None]
"""Told of parts that are not refuted: their claims (parts,), where their bounds are lowest (parts, inputs), and how far
below zero those are (parts,)."""


@dataclass(frozen=True)
class _Node:
    """A part of a claim: where these neurons have these signs.

    Attributes:
        weight: its share of all there is.
        bound: the best that is known; the lower, the more room for a point.
        last: nothing is left to split, and only better multipliers can help.
    """

    claim: int
    splits: tuple[Split, ...]
    weight: float
    bound: float = -math.inf
    last: bool = False

    def half(self, split: Split) -> _Node:
        return replace(self, splits=(*self.splits, split), weight=self.weight / 2)


@dataclass(frozen=True)
class _View:
    """The network in one of both precisions, what its rounding costs, and the claims as functions of its last layers.

    Parts with nothing left to split are looked at in float64: all others in what is quick.
    """

    network: Network
    margins: Margins
    wanted: Goal


class NeuronSplit:
    """A proof that can be continued; `outcome` tells how far it is.

    Args:
        record: of all parts that are refuted, where the proof is to be written down.
        watch: for a search that uses the parts; those with the lowest bounds are then looked at first.
    """

    ratio = 2.0

    def __init__(
        self, network: Network, claims: Claims, accept: Accept, record: Record | None = None, *,
        watch: Watch | None = None,
    ) -> None:  # fmt: skip
        self.network, self.claims, self.accept, self.record, self.watch = network, claims, accept, record, watch
        self.quick = network.single()
        self.views: dict[bool, _View] = {}
        self.outcome = Outcome()
        self.waiting = [_Node(claim, (), 1 / len(claims)) for claim in range(len(claims))]
        self.roots: dict[int, list[Interval]] = {}
        self.slopes: dict[int, dict[int, Tensor]] = {}
        self.sums: dict[int, Tensor] = {}
        self.summed = bool((claims.counts.sum(1) > 1).any())
        self.rows = claims.offset.shape[1] + self.summed
        ball = claims.boxes.ball
        corners = torch.cat([claims.boxes.lower, claims.boxes.upper, *([] if ball is None else [ball.centre])], 1)
        _, self.group = torch.unique(corners, dim=0, return_inverse=True)
        self.batch = max(1, min(LARGEST, ENTRIES // max(1, sum(network.sizes) * self.rows)))
        self.left_over = math.inf  # the least bound of parts that cannot be split
        self.pieces, self.deadline = self._work(), 0.0

    def run(self, deadline: float, nodes: float = float("inf")) -> Outcome:
        """Go on until the deadline, a value of `time.monotonic()`, or so many nodes in all, or the end."""
        self.deadline = deadline
        with torch.no_grad():
            while not self.outcome.ended and time.monotonic() < deadline and self.outcome.nodes < nodes:
                if next(self.pieces, self) is self:
                    self.outcome.proven = not self.outcome.ended
        return self.outcome

    def _work(self) -> Iterator[None]:
        """Everything there is to do, in small pieces."""
        for steps in (0, NEURON_STEPS):
            for group in sorted({int(self.group[node.claim]) for node in self.waiting}):
                box = self.claims.boxes.take((self.group == group).nonzero()[:1, 0])
                known = self.roots.get(group)
                self.roots[group] = yield from intervals_of(self.network, self.quick, box, steps=steps, known=known)
            self._settle()
            nodes, self.waiting = self.waiting, []
            for start in range(0, len(nodes), self.batch):
                self._look(nodes[start : start + self.batch], divide=steps > 0)
                yield
        while self.waiting:
            if self.watch is not None:
                self.waiting.sort(key=lambda node: -node.bound)
            newest, last = self.waiting[-self.batch :], self.waiting[-1].last
            self.waiting[-self.batch :] = [node for node in newest if node.last != last]
            self._look([node for node in newest if node.last == last], divide=True)
            yield

    def _settle(self) -> None:
        """What follows from the intervals of all boxes."""
        boxes = self.claims.boxes
        known = [
            (torch.cat([low for low, _ in pairs]), torch.cat([high for _, high in pairs]))
            for pairs in zip(*self.roots.values(), strict=True)
        ]
        for exact, network in ((False, self.quick), (True, self.network)):
            margins = Margins(network, boxes.lower, boxes.upper).extend(known)
            self.views[exact] = _View(network, margins, self.claims.goal(network, margins))

    def _look(self, nodes: list[_Node], *, divide: bool) -> None:
        """Bound some parts, and split those that are left, or keep them for later."""
        self.outcome.nodes += len(nodes)
        claim = torch.tensor([node.claim for node in nodes])
        boxes = self.claims.boxes.take(claim)
        root, last = not nodes[0].splits, nodes[0].last
        view = self.views[last]
        relaxations = self._relaxations(nodes, view.network.dtype)
        chosen = self._multipliers(nodes, relaxations)
        enough = self._enough(claim)
        linear, coefficients = optimise(
            view.network, view.wanted.take(claim), relaxations, boxes, chosen, view.margins,
            steps=LAST_STEPS if last else ROOT_STEPS if root else STEPS, enough=enough,
            stop=lambda: time.monotonic() >= self.deadline,
        )  # fmt: skip
        refuted = (linear.value > enough).any(1)
        ended = [node for node, done in zip(nodes, refuted.tolist(), strict=True) if done]
        self.outcome.share += sum(node.weight for node in ended)
        if self.record is not None:
            self.record.refuted((node.claim, node.splits) for node in ended)
        points = self._corners(linear, boxes, claim)
        if self._offer(points, claim):
            return
        if root:
            for row, node in enumerate(nodes):
                self.slopes[node.claim] = {layer: slope[row].clone() for layer, slope in chosen.slopes.items()}
                if chosen.sums is not None:
                    self.sums[node.claim] = chosen.sums[row].clone()
        left = (~refuted).nonzero()[:, 0]
        bound = (linear.value - enough).amax(1)
        nodes = [replace(node, bound=max(node.bound, low)) for node, low in zip(nodes, bound.tolist(), strict=True)]
        if self.watch is not None and divide and len(left):
            self.watch(claim[left], points[left], bound[left])
        if not divide:
            self.waiting += [nodes[row] for row in left.tolist()]
        elif last and time.monotonic() < self.deadline:
            self.outcome.stuck |= len(left) > 0
            self.left_over = min([self.left_over, *(nodes[row].bound for row in left.tolist())])
        elif last:  # it was stopped, and not because it can get no better
            self.waiting += [nodes[row] for row in left.tolist()]
        elif len(left):
            self._divide([nodes[row] for row in left.tolist()], left, relaxations, chosen, coefficients)

    def _divide(
        self, nodes: list[_Node], left: Tensor, relaxations: list[Relaxation], chosen: Multipliers,
        coefficients: Coefficients,
    ) -> None:  # fmt: skip
        """Split each part at a neuron."""
        relaxations = [relaxation.take(left) for relaxation in relaxations]
        lost = losses([None if rows is None else rows[left] for rows in coefficients], relaxations)
        for layer, relaxation in enumerate(relaxations):
            # other curves than those with one bend at zero are bounded more closely on either side of it
            fits = relaxation.bent & (relaxation.lower < 0) & (relaxation.upper > 0)
            lost[layer] = torch.where(fits, lost[layer].clamp(min=torch.finfo(relaxation.lower_slope.dtype).tiny), 0.0)
        worth, where = torch.cat(lost, 1).topk(min(TRIED, sum(self.network.sizes)), 1)
        halves = chosen.take(left)
        scores = torch.stack([self._worse_half(nodes, where[:, k], halves) for k in range(where.shape[1])], 1)
        picked = where.gather(1, scores.masked_fill(worth == 0, -torch.inf).argmax(1, keepdim=True))[:, 0]
        for node, number, possible in zip(nodes, picked.tolist(), (worth[:, 0] > 0).tolist(), strict=True):
            if possible:
                self.waiting += [node.half((*self._place(number), side)) for side in (-1, 1)]
            else:
                self.waiting.append(replace(node, last=True))

    def _worse_half(self, nodes: list[_Node], numbers: Tensor, chosen: Multipliers) -> Tensor:
        """The bound of the half with the lower one, when each node is split at a neuron; (nodes,)."""
        claim = torch.tensor([node.claim for node in nodes])
        view, values = self.views[False], []
        for side in (-1, 1):
            halves = [node.half((*self._place(n), side)) for node, n in zip(nodes, numbers.tolist(), strict=True)]
            relaxations = self._relaxations(halves, view.network.dtype)
            linear, _ = backward(
                view.network, chosen.goal(view.wanted.take(claim)), relaxations, self.claims.boxes.take(claim),
                slopes=_kept(chosen.slopes, relaxations), tilts=chosen.tilts(), margins=view.margins,
            )  # fmt: skip
            values.append((linear.value - self._enough(claim)).amax(1).clamp(max=0))
        return torch.minimum(*values) + 0.1 * torch.maximum(*values)

    def _place(self, number: int) -> tuple[int, int]:
        """Layer and neuron, from a number that counts through all layers."""
        for layer, size in enumerate(self.network.sizes):
            if number < size:
                return layer, number
            number -= size
        raise IndexError(number)

    def _enough(self, claim: Tensor) -> Tensor:
        """(nodes, rows) what a bound has to exceed."""
        single = torch.zeros(len(claim), 1).masked_fill(~self.claims.counts[claim], torch.inf)
        return torch.cat([single, torch.zeros(len(claim), 1)], 1) if self.summed else single

    def _relaxations(self, nodes: list[_Node], dtype: torch.dtype) -> list[Relaxation]:
        """The lines of all layers in each part."""
        groups = [int(self.group[node.claim]) for node in nodes]
        found = []
        for layer, curve in enumerate(self.network.curves):
            lower, upper = (torch.cat([self.roots[group][layer][end] for group in groups]) for end in (0, 1))
            for end, side in ((lower, -1), (upper, 1)):
                rows, neurons = self._splits(nodes, layer, side)
                end[rows, neurons] = end_of_half(curve, side)
            found.append(relax(curve, lower, upper).to(dtype))
        return found

    def _splits(self, nodes: list[_Node], layer: int, side: int) -> tuple[list[int], list[int]]:
        pairs = [(row, at) for row, node in enumerate(nodes) for k, at, s in node.splits if (k, s) == (layer, side)]
        return [row for row, _ in pairs], [at for _, at in pairs]

    def _multipliers(self, nodes: list[_Node], relaxations: list[Relaxation]) -> Multipliers:
        """To begin with: the slopes that were best for the whole claim."""
        rows = self.rows
        slopes = {k: slope.expand(-1, rows, -1).clone() for k, slope in free_slopes(relaxations).items()}
        if all(node.claim in self.slopes for node in nodes):
            best = {k: torch.stack([self.slopes[node.claim][k] for node in nodes]).to(slopes[k]) for k in slopes}
            slopes = _kept(best, relaxations)
        sides, weights = {}, {}
        for layer, size in enumerate(self.network.sizes):
            side = torch.zeros(len(nodes), size, dtype=relaxations[layer].lower_slope.dtype)
            for sign in (-1, 1):
                at, neurons = self._splits(nodes, layer, sign)
                side[at, neurons] = sign
            if side.any():
                sides[layer] = side
                weights[layer] = side.new_zeros(len(nodes), rows, size)
        return Multipliers(slopes, sides, weights, self._sums(nodes) if self.summed else None)

    def _sums(self, nodes: list[_Node]) -> Tensor:
        """The multipliers of claims' functions in their sum: those that were best for the whole claim."""
        claim = torch.tensor([node.claim for node in nodes])
        usual = even(self.claims.counts[claim])
        return torch.stack([self.sums.get(node.claim, one) for node, one in zip(nodes, usual, strict=True)])

    def _corners(self, linear: LinearBound, boxes: Boxes, claim: Tensor) -> Tensor:
        """(parts, inputs) where bounds are lowest."""
        counts = self.claims.counts[claim]
        if self.summed:
            counts = torch.cat([counts, torch.ones(len(claim), 1, dtype=torch.bool)], 1)
        hardest = linear.value.masked_fill(~counts, -torch.inf).argmax(1)
        return linear.vertex(boxes)[torch.arange(len(claim)), hardest]

    def _offer(self, points: Tensor, claim: Tensor) -> bool:
        """Show the judge points where a claim may hold."""
        worst = self.claims.values(claim, points, values_of(self.network, points))
        for row in worst.topk(min(OFFERS, len(points)), largest=False).indices.tolist():
            if worst[row] <= 0 and self.accept(points[row]):
                self.outcome.found = True
        return self.outcome.found


def _kept(slopes: dict[int, Tensor], relaxations: list[Relaxation]) -> dict[int, Tensor]:
    """Slopes where there is a choice, and the only right one elsewhere."""
    return {
        layer: torch.where(relaxations[layer].bent[:, None], slope, relaxations[layer].lower_slope[:, None])
        for layer, slope in slopes.items()
    }
