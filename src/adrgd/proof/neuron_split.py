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
from adrgd.bounds.reduced import Reduced, reduced
from adrgd.bounds.refine import intervals_of
from adrgd.bounds.relaxation import Relaxation
from adrgd.proof.claims import Accept, Claims
from adrgd.proof.middle import Middle
from adrgd.proof.outcome import Outcome
from adrgd.proof.parts import KEPT, MOST, Lines, Part, Start, multipliers_of, signs_of
from adrgd.proof.record import Record, Split

ENTRIES = 1_500_000  # neurons, over all parts, that are bounded at once
LARGEST = 128  # parts at once
ROOT_STEPS, STEPS, LAST_STEPS = 30, 12, 200  # of multipliers: at first, after a split, where nothing is left to split
NEURON_STEPS = 2  # of the slopes of each neuron, in the second pass over all of them
TRIED = (6, 48)  # neurons whose halves are looked at; more, the fewer parts there are at once
OFFERS = 4  # points that the judge sees
FIRST, LONGER = 2.0, 1.5  # seconds of splitting before middle bounds are raised for as long; then ever longer

Watch = Callable[[Tensor, Tensor, Tensor], None]
"""Told of parts that are not refuted: their claims (parts,), where their bounds are lowest (parts, inputs), and how far
below zero those are (parts,)."""


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
        self.whole, self.asked = network, claims
        self.reduced: Reduced | None = None
        self.middle: Middle | None = None
        self.quick = network.single()
        self.views: dict[bool, _View] = {}
        self.outcome = Outcome()
        self.waiting = [Part(claim, (), 1 / len(claims)) for claim in range(len(claims))]
        self.roots: dict[int, list[Interval]] = {}
        self.starts: dict[int, Start] = {}
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
        for second in (False, True):
            if second:
                self._reduce()
            yield from self._middle() if self.middle else self._intervals(NEURON_STEPS if second else 0)
            nodes, self.waiting = self.waiting, []
            for start in range(0, len(nodes), self.batch):
                self._look(nodes[start : start + self.batch], divide=second)
                yield
            if not self.waiting:
                return
        seconds, turn = 0.0, FIRST
        while self.waiting:
            began = time.monotonic()
            if self.watch is not None:
                self.waiting.sort(key=lambda node: -node.bound)
            newest, last = self.waiting[-self.batch :], self.waiting[-1].last
            self.waiting[-self.batch :] = [node for node in newest if node.last != last]
            self._look([node for node in newest if node.last == last], divide=True)
            yield
            seconds += time.monotonic() - began
            if self.middle and self.record is None and self.watch is None and seconds > turn:
                yield from self._middle(seconds)
                seconds, turn = 0.0, turn * LONGER

    def _intervals(self, steps: int) -> Iterator[None]:
        """Bounds of all neurons over all boxes."""
        for group in sorted({int(self.group[node.claim]) for node in self.waiting}):
            box = self.claims.boxes.take((self.group == group).nonzero()[:1, 0])
            known = self.roots.get(group)
            self.roots[group] = yield from intervals_of(self.network, self.quick, box, steps=steps, known=known)
        self._settle()

    def _middle(self, seconds: float = 0.0) -> Iterator[None]:
        """Better bounds of the neurons that are left of the network."""
        if self.middle is not None:
            yield from self.middle.turn(seconds)
            self.roots = {0: self.middle.intervals}
            self._settle()

    def _reduce(self) -> None:
        """Go on with the neurons that bend, where there is one box, and few of them do."""
        if len(self.roots) > 1 or self.claims.on_inputs is not None:
            return
        box = self.claims.boxes.take(torch.tensor([0]))
        self.reduced = small = reduced(self.network, box, self.roots[0])
        if small is not None:
            self.network, self.quick, self.roots = small.network, small.network.single(), {0: small.intervals}
            self.claims = replace(self.claims, boxes=small.boxes(self.claims.boxes))
            self.batch = max(1, min(LARGEST, ENTRIES // max(1, sum(self.network.sizes) * self.rows)))
            self.middle = Middle(self.quick, self.claims.boxes.take(torch.tensor([0])), small.intervals)
            self.starts = {}

    def _settle(self) -> None:
        """What follows from the intervals of all boxes."""
        boxes = self.claims.boxes
        known = [
            (torch.cat([low for low, _ in pairs]), torch.cat([high for _, high in pairs]))
            for pairs in zip(*self.roots.values(), strict=True)
        ]
        self.lines = Lines(self.network.curves, known)
        for exact, network in ((False, self.quick), (True, self.network)):
            margins = Margins(network, boxes.lower, boxes.upper).extend(known)
            self.views[exact] = _View(network, margins, self.claims.goal(network, margins))

    def _look(self, nodes: list[Part], *, divide: bool) -> None:
        """Bound some parts, and split those that are left, or keep them for later."""
        self.outcome.nodes += len(nodes)
        claim = torch.tensor([node.claim for node in nodes])
        boxes = self.claims.boxes.take(claim)
        root, last = not nodes[0].splits, nodes[0].last
        view = self.views[last]
        signs = signs_of(nodes)
        relaxations = self.lines.of(self.group[claim], signs, view.network.dtype)
        sums = even(self.claims.counts[claim]) if self.summed else None
        starts = [node.start or self.starts.get(node.claim) for node in nodes]
        chosen = multipliers_of(starts, signs, relaxations, self.rows, sums)
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
            self.record.refuted((node.claim, self._in_whole(node)) for node in ended)
        points = self._corners(linear, boxes, claim)
        if self.reduced is not None:
            points = points + self.reduced.middle
        if self._offer(points, claim):
            return
        left = (~refuted).nonzero()[:, 0]
        if root:
            self.starts |= {node.claim: Start(chosen, row) for row, node in enumerate(nodes)}
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
        self, nodes: list[Part], left: Tensor, relaxations: list[Relaxation], chosen: Multipliers,
        coefficients: Coefficients,
    ) -> None:  # fmt: skip
        """Split each part at a neuron."""
        if not sum(self.network.sizes):
            self.waiting += [replace(node, last=True) for node in nodes]
            return
        chosen = chosen.take(left)
        relaxations = [relaxation.take(left) for relaxation in relaxations]
        lost = losses([None if rows is None else rows[left] for rows in coefficients], relaxations)
        for layer, relaxation in enumerate(relaxations):
            # other curves than those with one bend at zero are bounded more closely on either side of it
            fits = relaxation.bent & (relaxation.lower < 0) & (relaxation.upper > 0)
            lost[layer] = torch.where(fits, lost[layer].clamp(min=torch.finfo(relaxation.lower_slope.dtype).tiny), 0.0)
        tried = max(TRIED[0], min(TRIED[1], self.batch * TRIED[0] // len(nodes)))
        worth, where = torch.cat(lost, 1).topk(min(tried, sum(self.network.sizes)), 1)
        scores = self._worse_halves(nodes, where, relaxations, chosen)
        picked = where.gather(1, scores.masked_fill(worth == 0, -torch.inf).argmax(1, keepdim=True))[:, 0]
        kept = chosen.to(KEPT) if len(self.waiting) < MOST else None
        for row, (number, possible) in enumerate(zip(picked.tolist(), (worth[:, 0] > 0).tolist(), strict=True)):
            node = replace(nodes[row], start=None if kept is None else Start(kept, row))
            if possible:
                self.waiting += [node.half((*self._place(number), side)) for side in (-1, 1)]
            else:
                self.waiting.append(replace(node, last=True))

    def _worse_halves(
        self, nodes: list[Part], where: Tensor, relaxations: list[Relaxation], chosen: Multipliers
    ) -> Tensor:
        """The bound of the half with the lower one, when each node is split at some neurons; (nodes, neurons)."""
        view, claim = self.views[False], torch.tensor([node.claim for node in nodes])
        wanted, tilts = chosen.goal(view.wanted.take(claim)), chosen.tilts()
        places = torch.tensor([self._place(number) for number in where.flatten().tolist()])
        values = torch.empty(2, len(places), dtype=torch.float64)
        for some in torch.split(torch.arange(len(places)), self.batch):
            at = some // where.shape[1]
            boxes = self.claims.boxes.take(claim[at])
            for k, side in enumerate((-1, 1)):
                signs = torch.cat([torch.arange(len(at))[:, None], places[some], torch.full((len(at), 1), side)], 1)
                halves, slopes = self.lines.halves(relaxations, chosen.slopes, at, self.group[claim[at]], signs)
                linear, _ = backward(
                    view.network, wanted.take(at), halves, boxes, slopes=slopes,
                    tilts={layer: tilt[at] for layer, tilt in tilts.items()}, margins=view.margins,
                )  # fmt: skip
                values[k, some] = (linear.value - self._enough(claim[at])).amax(1).clamp(max=0)
        return (values.amin(0) + 0.1 * values.amax(0)).view(where.shape)

    def _in_whole(self, node: Part) -> tuple[Split, ...]:
        """The signs of a part, by the neurons' numbers in the network that was given."""
        if self.reduced is None:
            return node.splits
        bent = self.reduced.bent
        return tuple((layer, int(bent[layer][neuron]), side) for layer, neuron, side in node.splits)

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

    def _corners(self, linear: LinearBound, boxes: Boxes, claim: Tensor) -> Tensor:
        """(parts, inputs) where bounds are lowest."""
        counts = self.claims.counts[claim]
        if self.summed:
            counts = torch.cat([counts, torch.ones(len(claim), 1, dtype=torch.bool)], 1)
        hardest = linear.value.masked_fill(~counts, -torch.inf).argmax(1)
        return linear.vertex(boxes)[torch.arange(len(claim)), hardest]

    def _offer(self, points: Tensor, claim: Tensor) -> bool:
        """Show the judge points where a claim may hold."""
        worst = self.asked.values(claim, points, values_of(self.whole, points))
        for row in worst.topk(min(OFFERS, len(points)), largest=False).indices.tolist():
            if worst[row] <= 0 and self.accept(points[row]):
                self.outcome.found = True
        return self.outcome.found
