"""The one loop: evaluate, record, step. `maximize` checks what it is given and hands it on to here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from adrgd.domain import BoundDomain, Domain, Packing, relaxed
from adrgd.errors import ModelError, warn
from adrgd.objective import Score, better
from adrgd.rows import RowRandom, column, take
from adrgd.solution import NonFiniteError, Recorded, Solution, Status
from adrgd.solvers import Solver, TrueGates
from adrgd.solvers.solver import Evaluation, Objective, Problem, takes_rows


class Loop:
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
        packing: Packing | None = None,
    ) -> None:
        self.packing = packing
        self.began = time.perf_counter()
        self.solver, self.seed, self.asked, self.count = solver, seed, steps, len(x0)
        self.steps = min(steps, solver.most_steps or steps)
        device = x0.device
        identity = torch.arange(len(x0)) if identity is None else identity
        identity = identity.to(device=device, dtype=torch.int64)
        rows = torch.arange(len(x0), device=device).repeat(restarts)
        restart = first_restart + torch.arange(restarts, device=device).repeat_interleave(len(x0))
        random = RowRandom.seeded(seed, identity[rows] + restart * 2**40)
        whole = domain.bind(x0)
        self.outside = ~whole.contains(x0)
        exact: BoundDomain = take(whole, rows)
        bound = relaxed(exact)
        self.x = bound.project(x0.detach()[rows])
        moved = (restart > 0) | solver.random_start
        if moved.any():
            self.x = torch.where(column(moved, self.x), bound.sample(random), self.x)
        self.problem = Problem(
            objective=objective, takes_rows=takes_rows(objective), domain=bound, rows=rows, restart=restart,
            random=random, steps=self.steps, exact=None if bound is exact else exact,
        )  # fmt: skip
        total = len(rows)
        self.owner = rows
        self.group = rows if group is None else torch.unique(group.to(device), return_inverse=True)[1][rows]
        self.active = torch.arange(total, device=device)
        self.best_x = self.problem.allowed(self.x).clone()
        self.best_value = torch.full((total,), -torch.inf, dtype=x0.dtype, device=device)
        self.best_reached = torch.zeros(total, dtype=torch.bool, device=device)
        self.first = torch.full((total,), -1, device=device)
        self.moved = torch.zeros(total, dtype=torch.bool, device=device)
        self.failed = torch.zeros(total, dtype=torch.bool, device=device)
        self.passes, self.extra = torch.zeros((2, total, 2), dtype=torch.int64, device=device)
        self.mended = torch.zeros(total, dtype=torch.int64, device=device)
        self.trace: list[Tensor] | None = [] if history else None
        self.recorded: Recorded | None = None

    def go(
        self, stop_at_goal: bool, require_gates: bool, on_iteration: Callable[[int, Solution], bool | None] | None
    ) -> None:
        gates, step = self.solver.gates, self.solver.step
        state = gates.start(self.problem, self.x)
        _warn(self.problem, require_gates)
        step_state = step.start(self.problem, self.x)
        for t in range(self.steps + 1):
            gradient: Tensor | None = None
            if t < self.steps:
                evaluation: Evaluation = gates.evaluate(self.problem, self.x, state, t)
                score, gradient, state, recorded = evaluation
                gradient = self._mend(score, gradient, t)
                if recorded is not None:
                    stop_at_goal = False
                    self._keep(score, recorded)
            else:
                with torch.no_grad():
                    score = self.problem.score(self.x)
            finite = self._record(score, gradient, t)
            stop = on_iteration is not None and on_iteration(t, self.solution())
            if stop or gradient is None:
                break
            if not finite.all() or (stop_at_goal and score.reached.any()):
                keep = finite & ~self._finished() if stop_at_goal else finite
                if not keep.any():
                    break
                if not keep.all():
                    gradient, state, step_state = self._drop(keep, (gradient, state, step_state))
            x, step_state = step.move(self.problem, self.x, gradient, step_state, t)
            self.x = self.problem.domain.project(x.detach())

    def _mend(self, score: Score, gradient: Tensor, t: int) -> Tensor:
        """Where the gradient through the gates is not finite, put the true one in its place."""
        index = (~gradient.flatten(1).isfinite().all(1) & score.value.isfinite()).nonzero()[:, 0]
        if not len(index) or isinstance(self.solver.gates, TrueGates):
            return gradient
        part = replace(self._rows(index), forwards=0, backwards=0)
        gradient = gradient.index_copy(0, index, TrueGates().evaluate(part, self.x[index], None, t).gradient)
        owners = self.active[index]
        self.mended[owners] += 1
        self.extra[owners] += torch.tensor([part.forwards, part.backwards], device=gradient.device)
        return gradient

    def _record(self, score: Score, gradient: Tensor | None, t: int) -> Tensor:
        """Keep what is better; returns (active,) the rows whose value and gradient are finite."""
        active, value, reached = self.active, score.value.detach(), score.reached
        valued = finite = value.isfinite()
        if gradient is not None:
            finite = valued & gradient.flatten(1).isfinite().all(1)
            self.moved[active] |= (gradient != 0).flatten(1).any(1)
        self.passes[active] = torch.tensor([self.problem.forwards, self.problem.backwards], device=value.device)
        self.failed[active] = ~finite
        known, had = self.best_value[active], self.best_reached[active]
        improved = better(Score(value, reached & valued), Score(known, had)) & valued
        self.best_value[active] = torch.where(improved, value.to(known), known)
        self.best_reached[active] = had | (reached & valued)
        self.best_x[active] = torch.where(column(improved, self.x), self.problem.allowed(self.x), self.best_x[active])
        fresh = reached & valued & (self.first[active] < 0)
        self.first[active] = torch.where(fresh, t, self.first[active])
        if self.trace is not None:
            self.trace.append(self.best_value.view(-1, self.count).amax(0))
        if not valued.any() and not self.best_value.isfinite().any():
            row = int(self.owner[active[0]])
            raise NonFiniteError(
                f"the objective's value is not finite for row {row} at iteration {t} (value {value[0].item():g}), nor "
                "for any other; look for overflow, a division by zero or a logarithm of zero in the objective",
                row=row, iteration=t, solution=self.solution(),
            )  # fmt: skip
        return finite

    def _keep(self, score: Score, recorded: Tensor) -> None:
        """Keep the best of the points that the solver's own rule looks at, and of the start."""
        if self.recorded is None:
            start = self.problem.allowed(self.x).clone()
            self.recorded = Recorded(start, score.value.detach().clone(), score.reached.clone())
        kept, active, value = self.recorded, self.active, score.value.detach()
        improved = recorded & (value > kept.value[active])
        kept.x[active] = torch.where(column(improved, self.x), self.problem.allowed(self.x), kept.x[active])
        kept.value[active] = torch.where(improved, value, kept.value[active])
        kept.reached[active] = torch.where(improved, score.reached, kept.reached[active])

    def _finished(self) -> Tensor:
        """(active,) whether the row, or another of its runs or of its group, has reached its goal."""
        reached = torch.zeros(self.count, dtype=torch.bool, device=self.group.device)
        reached[self.group[self.best_reached]] = True
        return reached[self.group[self.active]]

    def _rows(self, index: Tensor) -> Problem:
        """The problem of these rows among the active ones."""
        problem = self.problem
        return replace(
            problem, rows=problem.rows[index], restart=problem.restart[index], domain=take(problem.domain, index),
            exact=take(problem.exact, index), random=take(problem.random, index),
        )  # fmt: skip

    def _drop(self, keep: Tensor, tree: tuple[Tensor, Any, Any]) -> tuple[Tensor, Any, Any]:
        index = keep.nonzero()[:, 0]
        self.active, self.x, self.problem = self.active[index], self.x[index], self._rows(index)
        return take(tree, index)

    def solution(self) -> Solution:
        """The best of each row's runs, as things stand."""
        runs = len(self.owner) // self.count
        value = self.best_value.view(runs, self.count)
        reached = self.best_reached.view(runs, self.count)
        rank = torch.where(
            reached == reached.any(0), value, -torch.inf
        )  # a run that failed never beats one that did not
        best = self._highest(rank)
        first = torch.where(self.first < 0, torch.iinfo(torch.int64).max, self.first).view(runs, self.count).amin(0)
        any_reached = reached.any(0)
        flat = ~self.moved.view(runs, self.count).any(0)
        passes = (self.passes + self.extra).view(runs, self.count, 2).sum(0)
        spent = torch.where(flat & (self.passes[:, 1].view(runs, -1).sum(0) > 0), Status.FLAT, Status.SPENT)
        spent = torch.where(self.failed.view(runs, self.count).all(0), Status.NOT_FINITE, spent)
        return Solution(
            x=self.best_x[best], value=self.best_value[best], reached=any_reached,
            first_reached=torch.where(any_reached, first, -1),
            status=torch.where(any_reached, Status.REACHED, spent),
            forwards=passes[:, 0], backwards=passes[:, 1],
            history=None if self.trace is None else torch.stack(self.trace) if self.trace else None,
            seconds=time.perf_counter() - self.began, seed=self.seed, steps=self.asked,
            mended=self.mended.view(runs, self.count).sum(0), gating=self.problem.gating,
            recorded=None if self.recorded is None else take(self.recorded, self._highest(self.recorded.value)),
            packing=self.packing,
        )  # fmt: skip

    def _highest(self, value: Tensor) -> Tensor:
        """(count,) the position of each row's run with the largest of these values."""
        best = value.view(-1, self.count).argmax(0)
        return best * self.count + torch.arange(self.count, device=value.device)


def _warn(problem: Problem, require_gates: bool) -> None:
    """Say which activations have no gate; see `maximize`."""
    sentence = "" if problem.gating is None else problem.gating.warning
    if sentence and require_gates:
        raise ModelError(f"gates are required, and {sentence}")
    if sentence:
        warn(sentence)
