"""Upper bounds of a function over a box, lowered as long as there is time.

A branch and bound over the signs of neurons bounds the part with the highest bound first. Where inputs are few, boxes
of them are split after that: that the function is below some number is proven or refuted, for numbers between what was
found and what is known.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from adrgd.bounds.backward import Boxes
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import Matrices, Network
from adrgd.errors import out_of_memory
from adrgd.proof.attempt import few_inputs
from adrgd.proof.claims import Claims
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit

CLOSE = 1e-6  # of the value, or of one: the bound needs to be no lower
SHARE = 0.4  # of the time for splitting neurons where inputs are few
SHORTEST = 0.1  # seconds that the proof of one number gets, at least


@dataclass(frozen=True)
class UpperBound:
    """What no point of the box exceeds.

    Attributes:
        value: infinite where there is none.
        nodes: parts that were bounded.
        seconds: that it took.
        reason: why there is none, or why more time would not lower it; empty otherwise.
    """

    value: float
    nodes: int
    seconds: float
    reason: str = ""


def upper_bound(network: Network, box: Boxes, value: float, *, seconds: float) -> UpperBound:
    """Bound the first output of a network over a single box, with its ball if it has one, from above.

    Args:
        value: of the function somewhere in the box, below which no bound can be.
    """
    began = time.monotonic()
    known = math.inf
    nodes, reason = 0, ""
    target = value + CLOSE * max(1.0, abs(value))
    try:
        search = _HighestFirst(network, _below(network, box, target))
        few = few_inputs(search.claims) and isinstance(network, Matrices)
        search.run(began + seconds * (SHARE if few else 1.0))
        known = target - search.least()
        nodes = search.outcome.nodes
        if few and isinstance(network, Matrices) and known > target:
            known, more = _bisected(network, box, value, known, target, began + seconds)
            nodes += more
        elif search.outcome.stuck:
            reason = "parts were left that cannot be split any further"
    except NoBoundsError as error:
        reason = str(error)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        reason = "it ran out of memory"
    if not math.isfinite(known) and not reason:
        reason = "the time was over before the first bound was there"
    return UpperBound(known, nodes, time.monotonic() - began, reason)


def _below(network: Network, box: Boxes, number: float) -> Claims:
    """The claim that the function reaches a number."""
    rows = torch.zeros(1, 1, network.outputs, dtype=torch.float64)
    rows[0, 0, 0] = -1.0
    offset = torch.full((1, 1), number, dtype=torch.float64)
    return Claims(box, rows, None, offset, torch.ones(1, 1, dtype=torch.bool))


def _bisected(
    network: Matrices, box: Boxes, value: float, known: float, target: float, deadline: float
) -> tuple[float, int]:
    """A lower bound than `known`, and how many parts that took."""
    low, high, nodes, slice_ = value, known, 0, SHORTEST
    while high > target and time.monotonic() < deadline:
        middle = max(target, low + (high - low) / 2)
        proof = InputSplit(network, _below(network, box, middle), lambda x: True)
        outcome = proof.run(min(deadline, time.monotonic() + slice_))
        nodes += outcome.nodes
        if outcome.proven:
            high = middle
        elif outcome.found:
            low, target = middle, max(target, middle + CLOSE * max(1.0, abs(middle)))
        else:
            low, slice_ = middle, 2 * slice_  # it may be lower still, with more time than there was
            if high - low < CLOSE * max(1.0, abs(high)):
                low = value
    return high, nodes


class _HighestFirst(NeuronSplit):
    """Splits the part whose bound is the worst."""

    def __init__(self, network: Network, claims: Claims) -> None:
        super().__init__(network, claims, lambda x: False, watch=lambda *parts: None)

    def least(self) -> float:
        """A lower bound of the claim's function over all parts that are left; not below it where none is."""
        return min(
            [node.bound for node in self.waiting] + ([] if self.outcome.proven else [self.left_over]), default=0.0
        )
