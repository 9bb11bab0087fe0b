"""Branch and bound over the inputs, many boxes at a time: for networks with few inputs.

A box whose functions cannot all be zero or less is done. The others are cut down to where their linear bounds can be,
and halved along the input that is to blame for most of what the bounds lose. Children inherit the bounds of all
neurons.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Goal, LinearBound, backward
from adrgd.bounds.boxes import blame, cut, halve, losses
from adrgd.bounds.lines import Interval, forward
from adrgd.bounds.network import Matrices, values_of
from adrgd.bounds.products import tables
from adrgd.bounds.refine import refine
from adrgd.bounds.relaxation import Relaxation, relax
from adrgd.bounds.rounding import rounding_slack
from adrgd.bounds.slopes import tighten
from adrgd.proof.claims import Accept, Claims
from adrgd.proof.outcome import Outcome
from adrgd.proof.record import Record

ENTRIES = 600_000  # numbers in the largest table of a batch, so that it stays in the cache
LARGEST = 2048  # boxes of a batch
STEPS = 3  # of the slopes
OFFERS = 4  # points of a batch that the judge sees


@dataclass(frozen=True)
class _Part:
    """Boxes still to be looked at.

    Attributes:
        claim: (boxes,) which claim each belongs to.
        weight: (boxes,) its share of all there is.
        known: (boxes, 2, neurons) bounds of all pre-activations.
        number: (boxes,) in the record, where one is kept.
    """

    boxes: Boxes
    claim: Tensor
    weight: Tensor
    known: Tensor
    number: Tensor

    def __len__(self) -> int:
        return len(self.claim)

    def take(self, rows: Tensor | slice) -> _Part:
        return _Part(
            Boxes(self.boxes.lower[rows], self.boxes.upper[rows]), self.claim[rows], self.weight[rows],
            self.known[rows], self.number[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class _Bounded:
    """A batch with what is known of it."""

    part: _Part
    wanted: Goal
    shares: list[Tensor]
    intervals: list[Interval]
    relaxations: list[Relaxation]
    linear: LinearBound

    def take(self, rows: Tensor) -> _Bounded:
        return _Bounded(
            self.part.take(rows), self.wanted.take(rows), [share[rows] for share in self.shares],
            [(low[rows], high[rows]) for low, high in self.intervals],
            [relaxation.take(rows) for relaxation in self.relaxations], self.linear.take(rows),
        )  # fmt: skip


class InputSplit:
    """A proof that can be continued; `outcome` tells how far it is.

    Args:
        record: of all halves, where the proof is to be written down; boxes are not cut then.
    """

    ratio = 10.0  # it looks for points in every box as well

    def __init__(self, network: Matrices, claims: Claims, accept: Accept, record: Record | None = None) -> None:
        self.network, self.claims, self.accept, self.record = network, claims, accept, record
        lower, upper = claims.boxes.lower.amin(0), claims.boxes.upper.amax(0)
        self.slack = rounding_slack(network, lower, upper)
        self.claim_slack = claims.slack(self.slack)
        self.wanted = claims.goal(network)
        self.tables = tables(network)
        widest = max(network.sizes, default=1)
        self.batch = max(1, min(LARGEST, ENTRIES // (widest * widest)))
        self.outcome = Outcome(proven=not len(claims))
        neurons = sum(network.sizes)
        known = torch.tensor([-torch.inf, torch.inf], dtype=torch.float64)[None, :, None]
        self.open = [
            _Part(
                claims.boxes, torch.arange(len(claims)),
                torch.full((len(claims),), 1 / max(1, len(claims)), dtype=torch.float64),
                known.expand(len(claims), 2, neurons), torch.arange(len(claims)),
            )
        ]  # fmt: skip

    def run(self, deadline: float) -> Outcome:
        """Go on until the deadline, a value of `time.monotonic()`, or the end."""
        with torch.no_grad():
            while not self.outcome.ended and time.monotonic() < deadline:
                part = self._next()
                if part is None:
                    self.outcome.proven = True
                else:
                    self._look(part)
        return self.outcome

    def _next(self) -> _Part | None:
        """The boxes that were added last: depth first, so that few are waiting."""
        taken: list[_Part] = []
        room = self.batch
        while self.open and room:
            part = self.open.pop()
            if len(part) > room:
                self.open.append(part.take(slice(room, None)))
                part = part.take(slice(room))
            taken.append(part)
            room -= len(part)
        return _joined(taken) if sum(map(len, taken)) else None

    def _look(self, part: _Part) -> None:
        """Bound a batch of boxes, ever more closely, and split what is left."""
        self.outcome.nodes += len(part)
        if self._offer(part.boxes.centre, part.claim):
            return
        found = forward(self.network, part.boxes, self.slack, self._split(part.known))
        relaxations = [relax(c, *i) for c, i in zip(self.network.curves, found.intervals, strict=True)]
        wanted = self.wanted.take(part.claim)
        linear, _ = backward(self.network, wanted, relaxations, part.boxes)
        state = self._alive(_Bounded(part, wanted, found.shares, found.intervals, relaxations, linear))
        if not len(state.part):
            return
        intervals, relaxations = refine(self.network, state.part.boxes, state.intervals, self.slack, self.tables)
        linear, _ = backward(self.network, state.wanted, relaxations, state.part.boxes)
        state = self._alive(
            _Bounded(state.part, state.wanted, state.shares, intervals, relaxations, linear.better_of(state.linear))
        )
        if not len(state.part):
            return
        linear, coefficients = tighten(self.network, state.wanted, state.relaxations, state.part.boxes, steps=STEPS)
        scores = blame(losses(coefficients, state.relaxations), state.shares, state.part.boxes)
        state = _Bounded(
            state.part, state.wanted, state.shares, state.intervals, state.relaxations, linear.better_of(state.linear)
        )
        self._divide(state, scores)

    def _divide(self, state: _Bounded, scores: Tensor) -> None:
        """Cut and halve what is left."""
        part = state.part
        slack = self.claim_slack[part.claim]
        linear = LinearBound(state.linear.value - slack, state.linear.slope, state.linear.offset - slack)
        hardest = linear.value.masked_fill(~self.claims.counts[part.claim], -torch.inf).argmax(1)
        corner = linear.vertex(part.boxes)[torch.arange(len(part)), hardest]
        if self._offer(corner, part.claim):
            return
        if self.record is None:
            boxes, left = cut(part.boxes, linear, self.claims.counts[part.claim])
        else:
            boxes, left = part.boxes, torch.ones(len(part), dtype=torch.bool)
        self.outcome.share += float(part.weight[~left].sum())
        known = torch.cat([torch.stack(pair, 1) for pair in state.intervals], 2) if state.intervals else part.known
        part = _Part(boxes, part.claim, part.weight, known, part.number).take(left)
        children, split = halve(part.boxes, scores[left])
        if not split.all():
            self.outcome.stuck = True
        part = part.take(split)
        if len(part):
            weight, known, number = part.weight / 2, part.known, part.number.repeat(2)
            if self.record is not None:
                number = self.record.halved(part.number, part.boxes, children)
            self.open.append(_Part(children, part.claim.repeat(2), weight.repeat(2), torch.cat([known, known]), number))

    def _alive(self, state: _Bounded) -> _Bounded:
        """The boxes that are not refuted."""
        claim = state.part.claim
        above = state.linear.value - self.claim_slack[claim]
        refuted = ((above > 0) & self.claims.counts[claim]).any(1)
        if not refuted.any():
            return state
        self.outcome.share += float(state.part.weight[refuted].sum())
        return state.take(~refuted)

    def _offer(self, points: Tensor, claim: Tensor) -> bool:
        """Show the judge the points where a claim seems to hold."""
        worst = self.claims.values(claim, points, values_of(self.network, points))
        for row in worst.topk(min(OFFERS, len(points)), largest=False).indices.tolist():
            if worst[row] <= 0 and self.accept(points[row]):
                self.outcome.found = True
                return True
        return False

    def _split(self, known: Tensor) -> list[Interval]:
        return [(pair[:, 0], pair[:, 1]) for pair in torch.split(known, list(self.network.sizes), 2)]


def _joined(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    return _Part(
        Boxes(torch.cat([p.boxes.lower for p in parts]), torch.cat([p.boxes.upper for p in parts])),
        torch.cat([p.claim for p in parts]), torch.cat([p.weight for p in parts]), torch.cat([p.known for p in parts]),
        torch.cat([p.number for p in parts]),
    )  # fmt: skip
