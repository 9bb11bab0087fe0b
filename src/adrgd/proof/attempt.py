"""A proof that is tried in turns with something else, and may turn out to be impossible."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from adrgd.bounds.curves import Curve
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import Matrices, Network
from adrgd.devices import made_on
from adrgd.errors import out_of_memory
from adrgd.proof.both import Both
from adrgd.proof.claims import Accept, Claims
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.outcome import Outcome
from adrgd.proof.record import Record

FEW = 12  # inputs that may be split


class Splitting(Protocol):
    """A branch and bound that can be continued.

    Attributes:
        ratio: seconds that it is worth for each second of a search by gradients.
    """

    outcome: Outcome
    ratio: float

    def run(self, deadline: float) -> Outcome:
        """Go on until the deadline, a value of `time.monotonic()`, or the end."""


class Attempt:
    """A proof of claims about a network, both made when it gets its first turn; it is found on the processor.

    Args:
        kept: whether to keep a record of the proof.

    Attributes:
        record: of a proof, once it has begun, if it is kept.
        reason: why there is, or will be, no proof; empty as long as there may be one.
        seconds: that it took so far.
    """

    def __init__(
        self, network: Callable[[], Network], claims: Callable[[], Claims], accept: Accept, *, kept: bool = False
    ) -> None:
        self._given = network, claims, accept
        self._kept = kept
        self.record: Record | None = None
        self._proof: Splitting | None = None
        self._outcome = Outcome()
        self.reason, self.seconds = "", 0.0

    @property
    def outcome(self) -> Outcome:
        """How far it is."""
        return self._outcome

    @property
    def ratio(self) -> float:
        """Seconds that it is worth for each second of a search by gradients."""
        return self._proof.ratio if self._proof else 1.0

    @property
    def ended(self) -> bool:
        """More time would not help it."""
        return bool(self.reason) or self._outcome.ended

    def run(self, deadline: float) -> None:
        """Go on until the deadline, a value of `time.monotonic()`, or the end."""
        if self.ended:
            return
        began = time.monotonic()
        try:
            with made_on("cpu"):
                self._proof = self._proof or self._begin()
                self._outcome = self._proof.run(deadline)
        except NoBoundsError as error:
            self.reason = str(error)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            self.reason = "it ran out of memory"
        if self._outcome.stuck and not self._outcome.found:
            self.reason = "parts were left that floating point cannot split"
        if self.ended:
            self._proof = None
        self.seconds += time.monotonic() - began

    def _begin(self) -> Splitting:
        given, claims_of, accept = self._given
        network, claims = given(), claims_of()
        self.record = Record(len(claims), network.inputs, network.sizes) if self._kept else None
        return start(network, claims, accept, self.record)


def few_inputs(claims: Claims) -> bool:
    """Whether so few inputs vary, in boxes without a ball, that they can be split."""
    return claims.boxes.ball is None and int((claims.boxes.upper - claims.boxes.lower > 1e-12).any(0).sum()) <= FEW


def start(network: Network, claims: Claims, accept: Accept, record: Record | None = None) -> Splitting:
    """The way to prove claims that suits the network.

    Raises:
        NoBoundsError: a claim says nothing of the outputs.
    """
    if not claims.counts.any(1).all():
        raise NoBoundsError("a case without constraints on the outputs cannot be refuted")
    if few_inputs(claims) and isinstance(network, Matrices):
        if record is None and any(isinstance(curve, Curve) and curve.leaps for curve in network.curves):
            return Both(network, claims, accept)
        return InputSplit(network, claims, accept, record)
    return NeuronSplit(network, claims, accept, record)
