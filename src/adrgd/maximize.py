"""The one call that every application is a thin room on top of: what is asked for is checked, then the loop runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from adrgd.domain import Domain, Packing
from adrgd.errors import AdrgdError, DomainError, ModelError, UsageError
from adrgd.gates.call import HALF
from adrgd.gates.eager import without_checkpoints
from adrgd.given import as_labels, as_objective, as_solver, check_gradients, first_score, from_array
from adrgd.inputs import in_half, packed
from adrgd.loop import Loop
from adrgd.models.checks import layout
from adrgd.modes import only_in_eval_mode
from adrgd.objective import Classify, Misclassify
from adrgd.settings import as_count, as_flag, as_integer
from adrgd.solution import Solution
from adrgd.solvers import GraduatedADR, Solver
from adrgd.solvers.solver import Objective, Problem
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
    run = Loop(objective, x0, domain, solver, steps, restarts, first_restart, seed, identity, history, group, packing)
    if check:
        warn_of_units(domain, x0)
        warn_of_start(domain, run.outside)
        _check_rows(run.problem, run.x)
    with torch.enable_grad(), without_checkpoints():
        run.go(stop_at_goal, require_gates, on_iteration)
    solution = run.solution()
    if bound is None:
        return solution
    from adrgd.bounding import with_bounds

    return with_bounds(solution, objective, domain.bind(x0), seconds=bound)


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
