"""The one loop: evaluate, record, step. Every application is a thin room on top of it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from adrgd.domain import BoundDomain, Domain
from adrgd.errors import AdrgdError, DomainError, ModelError, UsageError
from adrgd.objective import Score, better
from adrgd.rows import RowRandom, column, take
from adrgd.solvers import GraduatedADR, Solver
from adrgd.solvers.solver import Evaluation, Objective, Problem


class Status(IntEnum):
    """How a row ended."""

    REACHED = 0
    SPENT = 1
    FLAT = 2

    @property
    def sentence(self) -> str:
        return (
            "the goal was reached",
            "all iterations were spent",
            "the gradient was zero at every iteration: the objective is flat or masked here, and nothing could move",
        )[self]


@dataclass(frozen=True)
class Solution:
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


class NonFiniteError(AdrgdError):
    """The objective or its gradient stopped being finite.

    Attributes:
        row: index of the first offending row of the batch that was passed in.
        iteration: the iteration at which it happened.
        solution: the best points found until then.
    """

    def __init__(self, message: str, *, row: int, iteration: int, solution: Solution) -> None:
        super().__init__(message)
        self.row, self.iteration, self.solution = row, iteration, solution


def maximize(
    objective: Objective,
    x0: Tensor,
    *,
    domain: Domain,
    solver: Solver | None = None,
    steps: int = 100,
    restarts: int = 1,
    first_restart: int = 0,
    seed: int = 0,
    identity: Tensor | None = None,
    group: Tensor | None = None,
    stop_at_goal: bool = True,
    check: bool = True,
    history: bool = False,
    on_iteration: Callable[[int, Solution], bool | None] | None = None,
) -> Solution:
    """Maximise objective(x) over the domain, each row of x0 (B, ...) a problem of its own.

    Args:
        objective: x (B, ...) -> values (B,), or a `Score`; see `adrgd.objective`.
        x0: where to start; restarts begin at random points of the domain.
        domain: where x may be, e.g. `LinfBall(x0, eps=0.2, box=Box(0, 1))`.
        solver: `GraduatedADR()` unless given.
        steps: iterations. The last point is evaluated too.
        restarts: runs a row, as a batch axis; the best of them is returned.
        first_restart: the number of the first of these runs; run 0 begins at x0, all others at random points.
        seed: the same seed gives the same bits on the same machine.
        identity: (B,) integers that name the rows, so that a row's random numbers do not depend on its place in the
            batch; 0 .. B-1 unless given.
        group: (B,) integers; rows of one group are dropped together. Each row is a group of its own unless given.
        stop_at_goal: drop a row, restarts and its group included, as soon as it reaches its goal.
        check: verify first that the objective is a fixed function that treats rows independently (three evaluations).
        history: keep the best value of each iteration.
        on_iteration: called with t and the best so far after each evaluation; returning True ends the run there.

    Raises:
        UsageError, DomainError: the request is malformed.
        ModelError: the objective is random or mixes rows.
        NonFiniteError: a value or gradient is NaN or infinite; it carries the best points so far.
    """
    solver = solver or GraduatedADR()
    run = _Run(objective, x0, domain, solver, steps, restarts, first_restart, seed, identity, history, group)
    if check:
        _check_rows(run.problem, run.x)
    run.loop(stop_at_goal, on_iteration)
    return run.solution()


class _Run:
    """The working state of one call: full-length results, and the rows that are still active."""

    def __init__(
        self,
        objective: Objective,
        x0: Tensor,
        domain: Domain,
        solver: Solver,
        steps: int,
        restarts: int,
        first_restart: int,
        seed: int,
        identity: Tensor | None,
        history: bool,
        group: Tensor | None = None,
    ) -> None:
        _check_request(x0, steps, restarts, {"identity": identity, "group": group})
        self.began = time.perf_counter()
        self.solver, self.seed, self.asked, self.count = solver, seed, steps, len(x0)
        self.steps = min(steps, solver.most_steps or steps)
        device = x0.device
        identity = torch.arange(len(x0)) if identity is None else identity
        identity = identity.to(device=device, dtype=torch.int64)
        rows = torch.arange(len(x0), device=device).repeat(restarts)
        restart = first_restart + torch.arange(restarts, device=device).repeat_interleave(len(x0))
        random = RowRandom.seeded(seed, identity[rows] + restart * 2**40)
        bound: BoundDomain = take(domain.bind(x0), rows)
        self.x = bound.project(x0.detach()[rows])
        moved = (restart > 0) | solver.random_start
        if moved.any():
            self.x = torch.where(column(moved, self.x), bound.sample(random), self.x)
        self.problem = Problem(
            objective=objective, takes_rows=_takes_rows(objective), domain=bound, rows=rows, restart=restart,
            random=random, steps=self.steps,
        )  # fmt: skip
        total = len(rows)
        self.owner = rows
        self.group = rows if group is None else torch.unique(group.to(device), return_inverse=True)[1][rows]
        self.active = torch.arange(total, device=device)
        self.best_x = self.x.clone()
        self.best_value = torch.full((total,), -torch.inf, dtype=x0.dtype, device=device)
        self.best_reached = torch.zeros(total, dtype=torch.bool, device=device)
        self.first = torch.full((total,), -1, device=device)
        self.moved = torch.zeros(total, dtype=torch.bool, device=device)
        self.passes = torch.zeros((total, 2), dtype=torch.int64, device=device)
        self.trace: list[Tensor] | None = [] if history else None

    def loop(self, stop_at_goal: bool, on_iteration: Callable[[int, Solution], bool | None] | None) -> None:
        gates, step = self.solver.gates, self.solver.step
        state = gates.start(self.problem, self.x)
        step_state = step.start(self.problem, self.x)
        for t in range(self.steps + 1):
            gradient: Tensor | None = None
            if t < self.steps:
                evaluation: Evaluation = gates.evaluate(self.problem, self.x, state, t)
                score, gradient, state = evaluation
            else:
                with torch.no_grad():
                    score = self.problem.score(self.x)
            self._record(score, gradient, t)
            stop = on_iteration is not None and on_iteration(t, self.solution())
            if stop or gradient is None:
                break
            if stop_at_goal and score.reached.any():
                keep = ~self._finished()
                if not keep.any():
                    break
                if not keep.all():
                    gradient, state, step_state = self._drop(keep, (gradient, state, step_state))
            x, step_state = step.move(self.problem, self.x, gradient, step_state, t)
            self.x = self.problem.domain.project(x.detach())

    def _record(self, score: Score, gradient: Tensor | None, t: int) -> None:
        active, value, reached = self.active, score.value.detach(), score.reached
        finite = value.isfinite()
        if gradient is not None:
            finite &= gradient.flatten(1).isfinite().all(1)
            self.moved[active] |= (gradient != 0).flatten(1).any(1)
        self.passes[active] = torch.tensor([self.problem.forwards, self.problem.backwards], device=value.device)
        if not finite.all():
            at = int((~finite).nonzero()[0])
            row, what = int(self.owner[active[at]]), "gradient" if value[at].isfinite() else "value"
            raise NonFiniteError(
                f"the objective's {what} is not finite for row {row} at iteration {t} (value {value[at].item():g}); "
                "look for overflow, a division by zero or a logarithm of zero in the objective",
                row=row, iteration=t, solution=self.solution(),
            )  # fmt: skip
        known, had = self.best_value[active], self.best_reached[active]
        improved = better(Score(value, reached), Score(known, had))
        self.best_value[active] = torch.where(improved, value.to(known), known)
        self.best_reached[active] = had | reached
        self.best_x[active] = torch.where(column(improved, self.x), self.x, self.best_x[active])
        fresh = reached & (self.first[active] < 0)
        self.first[active] = torch.where(fresh, t, self.first[active])
        if self.trace is not None:
            self.trace.append(self.best_value.view(-1, self.count).amax(0))

    def _finished(self) -> Tensor:
        """(active,) whether the row, or another of its runs or of its group, has reached its goal."""
        reached = torch.zeros(self.count, dtype=torch.bool, device=self.group.device)
        reached[self.group[self.best_reached]] = True
        return reached[self.group[self.active]]

    def _drop(self, keep: Tensor, tree: tuple[Tensor, Any, Any]) -> tuple[Tensor, Any, Any]:
        index = keep.nonzero()[:, 0]
        problem = self.problem
        self.active, self.x = self.active[index], self.x[index]
        problem.rows, problem.restart = problem.rows[index], problem.restart[index]
        problem.domain, problem.random = take(problem.domain, index), take(problem.random, index)
        return take(tree, index)

    def solution(self) -> Solution:
        """The best of each row's runs, as things stand."""
        runs = len(self.owner) // self.count
        value = self.best_value.view(runs, self.count)
        reached = self.best_reached.view(runs, self.count)
        rank = torch.where(
            reached == reached.any(0), value, -torch.inf
        )  # a run that failed never beats one that did not
        best = rank.argmax(0) * self.count + torch.arange(self.count, device=value.device)
        first = torch.where(self.first < 0, torch.iinfo(torch.int64).max, self.first).view(runs, self.count).amin(0)
        any_reached = reached.any(0)
        flat = ~self.moved.view(runs, self.count).any(0)
        passes = self.passes.view(runs, self.count, 2).sum(0)
        spent = torch.where(flat & (self.passes[:, 1].view(runs, -1).sum(0) > 0), Status.FLAT, Status.SPENT)
        return Solution(
            x=self.best_x[best], value=self.best_value[best], reached=any_reached,
            first_reached=torch.where(any_reached, first, -1),
            status=torch.where(any_reached, Status.REACHED, spent),
            forwards=passes[:, 0], backwards=passes[:, 1],
            history=None if self.trace is None else torch.stack(self.trace) if self.trace else None,
            seconds=time.perf_counter() - self.began, seed=self.seed, steps=self.asked,
        )  # fmt: skip


def _check_rows(problem: Problem, x: Tensor) -> None:
    """Evaluate the first rows twice, and the very first alone: all three must agree.

    Raises:
        UsageError: the objective does not return one number a row.
        ModelError: the objective is random, or a row's value depends on the other rows.
    """
    x = x[:8]
    with torch.no_grad():
        value, again, alone = problem.peek(x), problem.peek(x), problem.peek(x[:1])
    if not value.isfinite().all():
        return  # reported, with the row and the iteration, by the loop
    tolerance = 1e-4 if value.dtype == torch.float32 else 1e-9
    slack = tolerance * (1 + value.abs().max())
    if ((value - again).abs() > slack).any():
        raise ModelError(
            f"the objective is random: the same inputs gave {value[0].item():g} and then {again[0].item():g}; expected "
            "a fixed function; call model.eval(), and take sampling out of the objective"
        )
    if (value[0] - alone[0]).abs() > slack:
        raise ModelError(
            f"the objective mixes the rows of a batch: row 0 has value {value[0].item():g} in a batch of {len(x)} and "
            f"{alone[0].item():g} alone; expected independent rows; call model.eval() and remove batch statistics"
        )


def _takes_rows(objective: Objective) -> bool:
    try:
        return "rows" in inspect.signature(objective).parameters
    except (TypeError, ValueError):
        return False


def _check_request(x0: Tensor, steps: int, restarts: int, names: dict[str, Tensor | None]) -> None:
    if not isinstance(x0, Tensor) or x0.dim() < 2 or len(x0) == 0 or not x0.is_floating_point():
        found = f"{x0.dtype} of shape {tuple(x0.shape)}" if isinstance(x0, Tensor) else type(x0).__name__
        raise UsageError(f"x0 must be a floating-point tensor of one row a problem, shape (B, ...); found {found}")
    if not x0.isfinite().all():
        raise DomainError("x0 holds NaN or infinite values; expected finite numbers")
    if steps < 1 or restarts < 1:
        raise UsageError(f"steps and restarts must be at least 1, found {steps} and {restarts}")
    for word, given in names.items():
        if given is not None and given.shape != (len(x0),):
            raise UsageError(f"{word} must name each of {len(x0)} rows; found shape {tuple(given.shape)}")
