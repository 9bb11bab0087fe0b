"""What the loop returns, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from torch import Tensor

from adrgd.domain import Packing
from adrgd.errors import AdrgdError
from adrgd.gates import Gating
from adrgd.shown import Shown


class Status(IntEnum):
    """How a row ended."""

    REACHED = 0
    SPENT = 1
    FLAT = 2
    NOT_FINITE = 3

    @property
    def sentence(self) -> str:
        return (
            "the goal was reached",
            "all iterations were spent",
            "the gradient was zero at every iteration: the objective is flat or masked here, and nothing could move",
            "the value or its true gradient became NaN or infinite, and the row ended there with the best point so far",
        )[self]


@dataclass(frozen=True, repr=False)
class Recorded(Shown):
    """The best among the start and the points that a solver's own rule looks at.

    Attributes:
        x: (B, ...) the point of each row, by value alone.
        value: (B,) the objective there.
        reached: (B,) whether the goal is reached there.
    """

    x: Tensor
    value: Tensor
    reached: Tensor


@dataclass(frozen=True, repr=False)
class Bounded(Shown):
    """What the upper bounds of a solution took.

    Attributes:
        nodes: parts that were bounded.
        seconds: of wall time.
        reasons: for each row why there is no bound, or none that is lower; empty where there is nothing to say.
    """

    nodes: int
    seconds: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Solution(Shown):
    """What was found, row by row.

    Attributes:
        x: (B, ...) the best point of each row: one that reached the goal before any that did not, then by value. It
            lies exactly inside the domain.
        value: (B,) the objective there.
        reached: (B,) whether the goal was reached.
        first_reached: (B,) the iteration at which it first was, -1 for never.
        status: (B,) `Status` codes.
        forwards, backwards: (B,) passes spent on each row, restarts together.
        history: (steps + 1, B) the best value so far at each iteration, over the restarts; None unless asked for.
        seconds: wall time.
        seed: what all randomness came from.
        steps: the iterations asked for.
        mended: (B,) iterations at which the gradient through the gates was not finite and the true one took its place.
        gating: which activation calls the solver's gates stand for, and which not and why; None for a solver without.
        packing: how several inputs lie in x; None for one.
        recorded: what a solver keeps that has a rule of its own for that, see `SearchedGates.record`; None for others.
        upper_bound: (B,) float64, which the objective in exact arithmetic exceeds nowhere in the domain; infinite where
            there is none; None unless asked for.
        bounded: what the bounds took, and why some are missing; None unless asked for.
    """

    x: Tensor
    value: Tensor
    reached: Tensor
    first_reached: Tensor
    status: Tensor
    forwards: Tensor
    backwards: Tensor
    history: Tensor | None
    seconds: float
    seed: int
    steps: int
    mended: Tensor
    gating: Gating | None
    recorded: Recorded | None = None
    packing: Packing | None = None
    upper_bound: Tensor | None = None
    bounded: Bounded | None = None

    @property
    def gap(self) -> Tensor | None:
        """(B,) how far the bound is above the value; None where no bound was asked for."""
        return None if self.upper_bound is None else (self.upper_bound - self.value.double()).clamp(min=0)

    @property
    def inputs(self) -> Any:
        """What was found in the form of x0: a dict or a tuple where that was one, else x."""
        return self.x if self.packing is None else self.packing.split(self.x)


class NonFiniteError(AdrgdError):
    """The objective has no finite value at any row.

    Attributes:
        row: index of the first offending row of the batch that was passed in.
        iteration: the iteration at which it happened.
        solution: the best points found until then.
    """

    def __init__(self, message: str, *, row: int, iteration: int, solution: Solution) -> None:
        super().__init__(message)
        self.row, self.iteration, self.solution = row, iteration, solution
