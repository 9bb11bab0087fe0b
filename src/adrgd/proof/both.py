"""Inputs and neurons split in turns: where a network jumps, it cannot be told beforehand which of them will do.

At a jump no box is small enough, unless nothing depends on it; either side of it is a part of its own when the neuron
is split. Everything else gets closer to straight in a smaller box.
"""

from __future__ import annotations

import time

from adrgd.bounds.network import Matrices
from adrgd.proof.claims import Accept, Claims
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.outcome import Outcome

FIRST, LONGEST = 0.2, 2.0  # seconds of a turn


class Both:
    """A proof that can be continued: the one of the two that is ready first; `outcome` tells how far they are."""

    ratio = InputSplit.ratio

    def __init__(self, network: Matrices, claims: Claims, accept: Accept) -> None:
        self.ways: tuple[NeuronSplit, InputSplit] = (
            NeuronSplit(network, claims, accept), InputSplit(network, claims, accept),
        )  # fmt: skip
        self.turns, self.outcome = 0, Outcome()

    def _together(self) -> Outcome:
        """What one has found or proven, and the larger share."""
        found = [way.outcome for way in self.ways]
        return Outcome(
            proven=any(one.proven for one in found), found=any(one.found for one in found),
            stuck=all(one.stuck for one in found), share=max(one.share for one in found),
            nodes=sum(one.nodes for one in found),
        )  # fmt: skip

    def run(self, deadline: float) -> Outcome:
        """Go on until the deadline, a value of `time.monotonic()`, or the end."""
        while not self.outcome.ended and (now := time.monotonic()) < deadline:
            way = self.ways[self.turns % 2]
            if not way.outcome.ended:
                way.run(min(deadline, now + min(LONGEST, FIRST * 2 ** (self.turns // 2))))
            self.turns += 1
            self.outcome = self._together()
        return self.outcome
