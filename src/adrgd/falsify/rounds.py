"""What the search does one after the other: cheap rounds first, then more runs, other noise levels, and reheating."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adrgd.solvers import GraduatedGates, Solver, Steepest


@dataclass(frozen=True)
class Round:
    """A number of runs from random points, or from the best points found so far.

    Attributes:
        rows: runs, before they are made to fit the network's size.
        steps: iterations of each.
        solver: gates and steps; every run draws its own noise level.
        shake: how far a run begins from the best point that it is given, in radii of the box; None begins anywhere.
        open_share: of the runs pursue whichever case is nearest; each of the others pursues one case that is drawn.
    """

    rows: int
    steps: int
    solver: Solver
    shake: float | None = None
    open_share: float = 0.5


@dataclass(frozen=True)
class Walk:
    """Walks over the polytopes around the best points found so far, where the network is piecewise linear.

    Attributes:
        starts: points.
        passes: forward and backward passes for each of them, before they are made to fit the network's size.
    """

    starts: int = 4
    passes: int = 2000


def _rule(low: float, high: float, step: Steepest) -> Solver:
    return Solver(gates=GraduatedGates(spread=(low, high), spread_first=True), step=step)


ANYWHERE = _rule(0.3, 3.0, Steepest(length=1.0, schedule="power"))
REHEAT = _rule(0.05, 0.6, Steepest(length=0.6, schedule="power"))
REFINE = _rule(0.1, 3.0, Steepest(length=0.1, schedule="power"))
NEAR_TRUE = _rule(0.03, 0.3, Steepest(length=1.0, schedule="linear"))

MOST = 1024  # runs of a round; a larger network gets fewer


def schedule(*, walks: bool = True) -> Iterator[Round | Walk]:
    """Rounds without end, and walks from the best points after each cycle of them."""
    yield Round(8, 20, ANYWHERE)
    yield Round(64, 50, ANYWHERE)
    while True:
        yield Round(MOST, 100, ANYWHERE)
        yield Round(MOST, 80, REHEAT, shake=0.4)
        yield Round(MOST, 50, REFINE, shake=0.02)
        yield Round(MOST, 80, REHEAT, shake=0.1)
        yield Round(MOST, 50, REFINE, shake=0.02)
        yield Round(MOST, 100, NEAR_TRUE)
        if walks:
            yield Walk()
