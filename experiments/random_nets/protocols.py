"""How methods are compared: from where, how long, with how many restarts, and what of a run counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from nets import Nets

from adrgd import Box, Solver, maximize

Criterion = Literal["mean", "last", "best"]
"""What settings are chosen by: over a net's tuning runs the mean, the mean of last iterates, or the best run."""


@dataclass(frozen=True)
class Protocol:
    """Exactly one of `iterations` and `passes` is set.

    Attributes:
        title: what the tables call it.
        iterations: of every run.
        passes: forward and backward passes a net, restarts together.
        restarts: the numbers of runs that the passes may be split into; the best on the tuning nets is taken.
        starts: 0 for runs from x = 0 (restarts begin at random points); otherwise so many independent runs from
            random points, each a row of its own in the results.
        criterion: how settings are chosen.
        methods: only these; all when empty.
    """

    title: str
    iterations: int = 0
    passes: int = 0
    restarts: tuple[int, ...] = (1,)
    starts: int = 0
    criterion: Criterion = "best"
    methods: tuple[str, ...] = ()


def protocols(quick: bool = False) -> dict[str, Protocol]:
    """The study's, or half of them cut to about a tenth."""
    cut = 10 if quick else 1
    starts = 4 if quick else 20
    found = {
        "single-100": Protocol("one run, 100 iterations, random starts", 100, starts=starts, criterion="mean"),
        "single-300": Protocol("one run, 300 iterations, random starts", 300, starts=starts, criterion="mean"),
        "restarts-20": Protocol(
            "20 runs at the passes of 20 x 100 GraduatedADR iterations", passes=4340 // cut, restarts=(20 // cut,)
        ),
        "paper": Protocol("the paper's", 3000 // cut, criterion="mean"),
        "equal-small": Protocol("equal passes, small budget", passes=1000 // cut, restarts=(1, 2, 5)),
        "equal-large": Protocol(
            "equal passes, the budget of ADR-GD's run", passes=12_600 // cut, restarts=(1, 2) if quick else (8, 32)
        ),
        "long": Protocol("for the best known values only", 200, restarts=(60 // cut,), methods=("graduated", "sign")),
    }
    return {name: found[name] for name in ("single-100", "paper", "equal-large", "long")} if quick else found


@cache
def iterations_within(solver: Solver, passes: int) -> int:
    """The iterations that `passes`, forward and backward, allow: from two counts on a tiny network, to a few passes."""
    tiny = Nets((2, 3, 1), [0])

    def spent(steps: int) -> int:
        x0 = torch.zeros(1, 2)
        solution = maximize(tiny, x0, domain=Box(-1.0, 1.0), solver=solver, steps=steps, check=False)
        return int(solution.forwards[0] + solution.backwards[0])

    first, second = spent(20), spent(120)
    return max(1, 20 + (passes - first) * 100 // (second - first))
