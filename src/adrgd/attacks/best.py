"""The best point of each image over all runs of an attack, and what they took."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.objective import Score, better
from adrgd.rows import column
from adrgd.solution import Recorded, Solution, Status


class Best:
    """Starts with the clean images (B, ...), as points of no value.

    Attributes:
        x: (B, ...) the best points.
        value: (B,) the attacked loss there.
        reached: (B,) whether the goal is reached there.
        first: (B,) the iteration at which it first was, -1 for never.
        forwards, backwards: (B,) passes spent.
        certified: (B,) whether bounds have proven, on the way, that nothing breaks the image; None without bounds.
        not_finite: (B,) whether a run ended because its value or gradient was not finite.
        moved: (B,) whether some run met a gradient that was not zero.
        history: (B, steps + 1) the best value so far at each iteration of the first run.
        recorded: (B, ...) what solvers keep that have a rule of their own for that; None before there is one.
    """

    def __init__(self, clean: Tensor, steps: int) -> None:
        count, device = len(clean), clean.device
        self.x = clean.clone()
        self.value = torch.full((count,), -torch.inf, dtype=clean.dtype, device=device)
        self.reached = torch.zeros(count, dtype=torch.bool, device=device)
        self.first = torch.full((count,), -1, device=device)
        self.forwards = torch.zeros(count, dtype=torch.int64, device=device)
        self.backwards = torch.zeros(count, dtype=torch.int64, device=device)
        self.not_finite = torch.zeros(count, dtype=torch.bool, device=device)
        self.moved = torch.zeros(count, dtype=torch.bool, device=device)
        self.certified: Tensor | None = None
        self.history = torch.full((count, steps + 1), -torch.inf, dtype=clean.dtype, device=device)

        self.recorded: Recorded | None = None

    def standing(self) -> Tensor:
        """The positions of the images whose goal is not reached."""
        return (~self.reached).nonzero()[:, 0]

    def update(self, rows: Tensor, x: Tensor, score: Score, first: Tensor) -> None:
        """Keep points x of the images `rows`, each named once, where they are better.

        Args:
            score: the attacked loss at x, and whether the goal is reached there.
            first: the iteration at which it first was; used where it is.
        """
        had, value = self.reached[rows], self.value[rows]
        improved = better(score, Score(value, had))
        self.x[rows] = torch.where(column(improved, x), x, self.x[rows])
        self.value[rows] = torch.where(improved, score.value, value)
        self.first[rows] = torch.where(score.reached & ~had, first, self.first[rows])
        self.reached[rows] |= score.reached

    def spend(self, rows: Tensor, solution: Solution) -> None:
        """Add a solution's passes to those of the images `rows`, which may be named more than once."""
        self.not_finite[rows[solution.status == Status.NOT_FINITE]] = True
        self.moved[rows[solution.status != Status.FLAT]] = True
        self.forwards.index_add_(0, rows, solution.forwards)
        self.backwards.index_add_(0, rows, solution.backwards)

    def note(self, rows: Tensor, recorded: Recorded | None) -> None:
        """Take over, for the images `rows`, what is better by value among the points that a solver has recorded."""
        if recorded is None:
            return
        if self.recorded is None:
            self.recorded = Recorded(
                self.x.clone(), torch.full_like(self.value, -torch.inf), torch.zeros_like(self.reached)
            )
        kept = self.recorded
        improved = recorded.value > kept.value[rows]
        kept.x[rows] = torch.where(column(improved, recorded.x), recorded.x, kept.x[rows])
        kept.value[rows] = torch.where(improved, recorded.value, kept.value[rows])
        kept.reached[rows] = torch.where(improved, recorded.reached, kept.reached[rows])

    def shorten(self, steps: int) -> None:
        """The first run turns out to have only so many iterations."""
        self.history = self.history[:, : steps + 1]

    def remember(self, rows: Tensor, history: Tensor) -> None:
        """Take over the history (iterations, rows) of the first run; one that ended early stays as it was."""
        self.history[rows, : len(history)] = history.T
        self.history[rows, len(history) :] = history[-1][:, None]
