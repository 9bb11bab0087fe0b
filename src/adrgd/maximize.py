"""The one loop: evaluate, record, step. Every application is a thin room on top of it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from adrgd.domain import BoundDomain, Domain, Packing, relaxed
from adrgd.errors import AdrgdError, DomainError, ModelError, UsageError, warn
from adrgd.gates.call import HALF
from adrgd.gates.eager import without_checkpoints
from adrgd.given import as_labels, as_objective, as_solver, check_gradients, first_score, from_array
from adrgd.inputs import in_half, packed
from adrgd.models.checks import layout
from adrgd.modes import only_in_eval_mode
from adrgd.objective import Classify, Misclassify, Score, better
from adrgd.rows import RowRandom, column, take
from adrgd.settings import as_count, as_flag, as_integer
from adrgd.solution import NonFiniteError, Recorded, Solution, Status
from adrgd.solvers import GraduatedADR, Solver, TrueGates
from adrgd.solvers.solver import Evaluation, Objective, Problem, takes_rows
from adrgd.units import warn_of_start, warn_of_units


def maximize(
    objective: Objective,
    x0: Tensor | Mapping[str, Tensor] | tuple[Tensor, ...],
    *,
    domain: Domain,
    solver: Solver | str | type[Solver] | None = None,
    steps: int = 100,
    restarts: int = 1,
    first_restart: int = 0,
    seed: int = 0,
    identity: Tensor | None = None,
    group: Tensor | None = None,
    stop_at_goal: bool = True,
    check: bool = True,
    history: bool = False,
    require_gates: bool = False,
    on_iteration: Callable[[int, Solution], bool | None] | None = None,
    bound: float | None = None,
) -> Solution:
    """Maximise objective(x) over the domain, each row of x0 (B, ...) a problem of its own.

    Args:
        objective: x (B, ...) -> values (B,), or a `Score`; see `adrgd.objective`.
        x0: where to start; restarts begin at random points of the domain. For several inputs a dict or a tuple, with a
            `Product` as the domain; the objective takes them in the same form.
        domain: where x may be, e.g. `LinfBall(x0, eps=0.2, box=Box(0, 1))`.
        solver: `GraduatedADR()` unless given; also a name of `adrgd list`, or a class.
        steps: iterations. The last point is evaluated too.
        restarts: runs a row, as a batch axis; the best of them is returned.
        first_restart: the number of the first of these runs; run 0 begins at x0, all others at random points.
        seed: the same seed gives the same bits on the same machine.
        identity: (B,) integers that name the rows, so that a row's random numbers do not depend on its place in the
            batch; 0 .. B-1 unless given.
        group: (B,) integers; rows of one group are dropped together. Each row is a group of its own unless given.
        stop_at_goal: drop a row, restarts and its group included, as soon as it reaches its goal; not under a solver
            that records points by a rule of its own, which may come later.
        check: verify first that the objective is a fixed function that treats rows independently (three evaluations),
            take a classifier's labels and logits in any form, and say what looks like a mistake of units.
        history: keep the best value of each iteration.
        require_gates: make it an error, instead of a warning, if the solver is a gated one and an activation of the
            network has no gate. `Solution.gating` lists them.
        on_iteration: called with t and the best so far after each evaluation; returning True ends the run there.
        bound: seconds, of all rows together, for an upper bound of the objective over each row's domain, found after
            the search: `Solution.upper_bound`. Where an operator or the domain has none it is infinite, and
            `Solution.bounded` says why.

    Raises:
        UsageError, DomainError: the request is malformed.
        ModelError: the objective is random or mixes rows, holds a part in train mode, or lacks required gates.
        NonFiniteError: no row has a finite value. A single row that loses its own ends with `Status.NOT_FINITE`.

    Examples:
        >>> import adrgd, torch
        >>> box = adrgd.Box(torch.tensor([-1.0, -1.0]), torch.tensor([2.0, 3.0]))
        >>> found = adrgd.maximize(lambda x: (x * x).sum(1), torch.zeros(1, 2), domain=box, solver="gd", restarts=8)
        >>> found.x.tolist(), found.value.item()
        ([[2.0, 3.0]], 13.0)
    """
    check_gradients("maximize")
    solver = GraduatedADR() if solver is None else as_solver(solver)
    if not hasattr(domain, "bind") or inspect.isclass(domain):
        raise UsageError(
            f"domain must be a Box, a ball, a Polytope or another of adrgd.domain, found {type(domain).__name__}; for "
            "a ball of radius r around x0 pass LinfBall(x0, r)"
        )
    steps, restarts, seed = as_count(steps, "steps"), as_count(restarts, "restarts"), as_integer(seed, "seed")
    first_restart = as_count(first_restart, "first_restart", least=0)
    flags = {"stop_at_goal": stop_at_goal, "check": check, "history": history, "require_gates": require_gates}
    stop_at_goal, check, history, require_gates = (as_flag(given, name) for name, given in flags.items())
    if on_iteration is not None and not callable(on_iteration):
        raise UsageError(f"on_iteration must be a function of t and the best so far, found {on_iteration!r}; pass one")
    if bound is not None and not 0 < bound < float("inf"):
        raise UsageError(f"bound takes a positive number of seconds, found {bound:g}; pass another, or None")
    packing: Packing | None = None
    if isinstance(x0, Mapping | tuple | list):
        packing, objective, x0, domain = packed(objective, x0, domain)
    x0 = cast(Tensor, from_array(x0, "x0"))
    _check_request(x0)
    identity, group = (
        None if given is None else as_labels(given, len(x0), x0.device, name)
        for name, given in (("identity", identity), ("group", group))
    )
    if check:
        objective = as_objective(objective, x0)
    if x0.dtype in HALF:
        objective, x0 = in_half(objective, x0.dtype), x0.float()
    run = _Run(objective, x0, domain, solver, steps, restarts, first_restart, seed, identity, history, group, packing)
    if check:
        warn_of_units(domain, x0)
        warn_of_start(domain, run.outside)
        _check_rows(run.problem, run.x)
    with torch.enable_grad(), without_checkpoints():
        run.loop(stop_at_goal, require_gates, on_iteration)
    solution = run.solution()
    if bound is None:
        return solution
    from adrgd.bounding import with_bounds

    return with_bounds(solution, objective, domain.bind(x0), seconds=bound)


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

    def loop(
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


def _check_rows(problem: Problem, x: Tensor) -> None:
    """Evaluate the first rows twice, and the very first alone: all three must agree.

    Raises:
        UsageError: the objective does not return one number a row.
        DataError: labels that are no classes of the model.
        ModelError: the model cannot take x0, or returns no logits; the objective is random, or a row's value depends on
            the other rows.
    """
    x = x[:8]
    with torch.no_grad():
        with only_in_eval_mode():
            if isinstance(problem.objective, Misclassify | Classify):
                value = first_score(problem.objective, x.clone(), problem.rows[: len(x)]).value
            else:
                value = _asked(problem, x)
        again, alone = problem.peek(x), _asked(problem, x[:1], alone=len(x) > 1)
    if not value.isfinite().all():
        return  # reported, with the row and the iteration, by the loop
    tolerance = 1e-4 if value.dtype == torch.float32 else 1e-9
    slack = tolerance * (1 + value.abs().max())
    if ((value - again).abs() > slack).any():
        raise ModelError(
            f"the objective is random: the same inputs gave {value[0].item():g} and then {again[0].item():g}; expected "
            "a fixed function; call model.eval(), and take sampling out of the objective, or put "
            "adrgd.defences.Expected around a random model"
        )
    if (value[0] - alone[0]).abs() > slack:
        raise ModelError(
            f"the objective mixes the rows of a batch: row 0 has value {value[0].item():g} in a batch of {len(x)} and "
            f"{alone[0].item():g} alone; expected independent rows; call model.eval() and remove batch statistics"
        )


def _asked(problem: Problem, x: Tensor, *, alone: bool = False) -> Tensor:
    """The values at x; what torch says against it, or against a row that is alone, is put into a sentence."""
    try:
        return problem.peek(x)
    except AdrgdError:
        raise
    except Exception as error:  # whatever somebody's own code comes upon
        if "memory" in str(error):
            raise  # it has nothing to do with x
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        found = f"the objective cannot take x of shape {tuple(x.shape)}, {x.dtype} on {x.device} ({reason})"
        if alone:
            raise UsageError(
                f"{found}, and takes several rows; it is asked for any number of them, so that a network must not fix "
                "its batch, and data of one's own for each row is picked by a second argument: objective(x, rows)"
            ) from error
        raise UsageError(f"{found}; pass x0 as the network expects its input{layout(x)}") from error


def _check_request(x0: Any) -> None:
    if isinstance(x0, Tensor) and (x0.layout != torch.strided or x0.is_meta or x0.is_nested):
        found = "a nested one" if x0.is_nested else x0.layout
        raise UsageError(f"x0 must be a dense tensor that holds numbers, found {found} on {x0.device}; convert it")
    if not isinstance(x0, Tensor) or x0.dim() < 2 or not x0.numel() or not x0.is_floating_point():
        found = f"{x0.dtype} of shape {tuple(x0.shape)}" if isinstance(x0, Tensor) else type(x0).__name__
        raise UsageError(f"x0 must be a floating-point tensor of one row a problem, shape (B, ...); found {found}")
    if not x0.isfinite().all():
        raise DomainError("x0 holds NaN or infinite values; expected finite numbers")
