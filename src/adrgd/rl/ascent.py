"""The largest value of critics near proposed actions: closed-form gradients where there are any, else `maximize`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from adrgd.domain import Box, Domain, LinfBall
from adrgd.errors import AdrgdError
from adrgd.maximize import maximize
from adrgd.rl.chain import Array, Chain, linear_layers
from adrgd.rl.closed_adr import SUPPORTED, TUNED, SearchedClosed
from adrgd.rl.closed_gates import ClosedGates, GraduatedClosed, Task, TrueClosed
from adrgd.rl.closed_steps import closed_step
from adrgd.rows import RowRandom
from adrgd.solvers import GraduatedGates, SearchedGates, Solver, TrueGates
from adrgd.solvers.solver import GateRule, Problem

ACTIONS = Box(-1.0, 1.0)
"""Critics see actions that are scaled to this box."""


class Ascent(NamedTuple):
    """`x` (B, A) the best actions, `value` (B,) there, `before` (B,) at the proposals."""

    x: Tensor
    value: Tensor
    before: Tensor


def ascend(
    networks: Sequence[nn.Module],
    features: Tensor,
    proposal: Tensor,
    *,
    how: str,
    solver: Solver,
    steps: int,
    radius: float | None = None,
    seed: int = 0,
    closed_form: bool = True,
) -> Ascent:
    """Maximise Q(s, a) over a, one row a state; the proposal itself is among the candidates.

    A row's result depends on its own state and proposal only: all rows share their random numbers.

    Args:
        networks: take features and action side by side (B, S + A) and return (B, 1).
        features: (B, S) what the networks see of the states.
        proposal: (B, A) in [-1, 1], where the ascent begins.
        how: "first", "mean" or "min" of the networks' values.
        radius: how far each action may move from the proposal; None for all of [-1, 1].
        closed_form: use closed-form gradients where networks and solver allow it: the same points up to rounding.

    Raises:
        AdrgdError: a value is not finite.
    """
    if how == "first":
        networks = networks[:1]
    domain = ACTIONS if radius is None else LinfBall(proposal, eps=radius, box=ACTIONS)
    linears = [linear_layers(network) for network in networks]
    gates = _closed_gates(solver.gates)
    if not closed_form or gates is None or solver.random_start or any(chain is None for chain in linears):
        return _general(networks, features, proposal, domain, how, solver, steps, seed)
    given = features.numpy()
    chains = [Chain(layers, given, proposal.shape[1]) for layers in linears if layers is not None]
    return _closed(chains, proposal, domain, how, solver, gates, min(steps, solver.most_steps or steps), seed)


def _closed(
    chains: list[Chain],
    proposal: Tensor,
    domain: Box | LinfBall,
    how: str,
    solver: Solver,
    make_gates: Callable[[Task, Array], ClosedGates],
    steps: int,
    seed: int,
) -> Ascent:
    """The loop of `maximize` without what a critic does not need: goals, restarts, counts."""
    box = domain.bind(proposal)
    rows = torch.zeros(len(proposal), dtype=torch.int64)
    problem = Problem(
        objective=len, takes_rows=False, domain=box, rows=rows, restart=rows, random=RowRandom.seeded(seed, rows),
        steps=steps,
    )  # fmt: skip
    with torch.inference_mode():
        x, low, high = box.project(proposal.detach()).numpy(), box.low.numpy(), box.high.numpy()
        task = Task(chains, how, box.reach.numpy(), steps, seed)
        gates, step = make_gates(task, x), closed_step(solver.step, problem, box, x)
        points, values = [x], []
        for t in range(steps):
            value, gradient = gates.evaluate(x, t)
            x = np.minimum(np.maximum(step.move(x, gradient, t), low), high)
            points.append(x)
            values.append(value)
        values.append(task.value(x))
    table = np.stack(values)
    if not np.isfinite(table).all():
        raise _not_finite(int(np.argmin(np.isfinite(table).all(1))))
    best, each = table.argmax(0), np.arange(len(x))  # of equal values the first, as in maximize
    return Ascent(*map(torch.from_numpy, (np.stack(points)[best, each], table[best, each], table[0])))


def _general(
    networks: Sequence[nn.Module],
    features: Tensor,
    proposal: Tensor,
    domain: Domain,
    how: str,
    solver: Solver,
    steps: int,
    seed: int,
) -> Ascent:
    def value(x: Tensor, rows: Tensor) -> Tensor:
        entry = torch.cat([features[rows], x], 1)
        each = torch.stack([network(entry)[:, 0] for network in networks])
        if how == "mean":
            return each.mean(0)
        return each.gather(0, each.argmin(0, keepdim=True))[0]  # the least as it is: amin would be softened

    every = torch.arange(len(proposal))
    solution = maximize(
        value, proposal, domain=domain, solver=solver, steps=steps, seed=seed, identity=torch.zeros_like(every),
        check=False,
    )  # fmt: skip
    with torch.no_grad():
        before = value(domain.bind(proposal).project(proposal), every)
    return Ascent(solution.x, solution.value, before)


def _closed_gates(gates: GateRule) -> Callable[[Task, Array], ClosedGates] | None:
    if type(gates) is TrueGates:
        return lambda task, x: TrueClosed(task)
    if type(gates) is GraduatedGates and gates.layers == "all":
        return lambda task, x: GraduatedClosed(task, gates, x)
    if type(gates) is SearchedGates and gates == replace(SUPPORTED, **{name: getattr(gates, name) for name in TUNED}):
        return lambda task, x: SearchedClosed(task, gates, x)
    return None


def _not_finite(iteration: int) -> AdrgdError:
    return AdrgdError(
        f"the critic's value is not finite at iteration {iteration}: training has diverged; lower the learning rate, "
        "or normalise observations and rewards"
    )
