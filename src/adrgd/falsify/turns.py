"""The search and the proof in turns: the search first, for a short while, then the proof gets ever more of the time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from adrgd.falsify.property import Property
from adrgd.falsify.rounds import Round, Walk
from adrgd.proof.attempt import FEW, Attempt

FIRST = 2  # rounds before the proof begins: most counterexamples are found in those; one, where inputs are few
AT_LEAST = 1.0  # seconds of a turn of the proof
RISE = 1.0  # a second of search: the proof gets once the search's time at first, as most points are found early
PATIENCE = 14  # rounds without a better point after which the search ends where there can be no proof: two cycles


def in_turns(
    rounds: Iterable[Round | Walk], proof: Attempt, prop: Property, *, deadline: float
) -> Iterator[Round | Walk]:
    """The rounds of a search, with turns of a proof in between; they end when the proof has decided.

    A proof that cannot be had leaves all the time to the search. One that splits a few inputs is cheap, and looks for
    points as well.
    """
    first = 1 if any(int((case.upper > case.lower).sum()) <= FEW for case in prop.cases) else FIRST
    began = time.monotonic()
    for number, turn in enumerate(rounds):
        if number >= first and not proof.ended:
            now = time.monotonic()
            searched = now - began - proof.seconds
            ratio = min(proof.ratio, 1 + RISE * searched)
            until = now + max(AT_LEAST, ratio * searched - proof.seconds)
            proof.run(min(deadline, until))
            if proof.outcome.proven or proof.outcome.found:
                return
        yield turn
