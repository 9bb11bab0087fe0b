"""Watches a solver while `maximize` runs: every iterate, every value, and every state of its gates.

The watchers wrap the rules of the solver, so what they note are the solver's own points; the points that it only probes
pass through the objective and are not seen here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from adrgd.domain import Domain
from adrgd.maximize import maximize
from adrgd.solution import Solution
from adrgd.solvers.solver import Evaluation, GateRule, Objective, Problem, Sees, Solver, StepRule


@dataclass(frozen=True)
class WatchedStep:
    """A step rule that notes where it was and where it went."""

    rule: StepRule
    points: list[Tensor] = field(default_factory=list)

    def start(self, problem: Problem, x: Tensor) -> Any:
        self.points.append(x.clone())
        return self.rule.start(problem, x)

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        new, state = self.rule.move(problem, x, gradient, state, t)
        self.points.append(problem.domain.project(new.detach()))
        return new, state


@dataclass(frozen=True)
class WatchedGates:
    """A gate rule that notes the values (B,) that it finds, and if asked the states that evaluations start from."""

    rule: GateRule
    keep_states: bool = False
    states: list[Any] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    @property
    def sees(self) -> Sees:
        return self.rule.sees

    def start(self, problem: Problem, x: Tensor) -> Any:
        return self.rule.start(problem, x)

    def evaluate(self, problem: Problem, x: Tensor, state: Any, t: int) -> Evaluation:
        found = self.rule.evaluate(problem, x, state, t)
        if self.keep_states:
            self.states.append(state)
        self.values.append(found.score.value)
        return found


@dataclass(frozen=True)
class Trajectory:
    """A run.

    Attributes:
        points: (steps + 1, B, ...) the iterates.
        states: of the gates, one an iteration, if they were kept.
        solution: what `maximize` returned.
    """

    points: Tensor
    states: list[Any]
    solution: Solution


def follow(
    objective: Objective,
    x0: Tensor,
    domain: Domain,
    solver: Solver,
    steps: int,
    *,
    keep_states: bool = False,
    check: bool = False,
) -> Trajectory:
    """Run `solver` from x0 (B, ...) and keep its path. No row is dropped when it reaches its goal.

    Args:
        keep_states: keep the state of the gates at every iteration too; it can be as large as all activations.
        check: as in `maximize`, which also takes the other arguments.

    Examples:
        >>> import torch
        >>> from adrgd import Box, GraduatedADR, Output
        >>> from adrgd.watch import follow
        >>> path = follow(Output(torch.nn.ReLU()), torch.zeros(1, 2), Box(-1, 1), GraduatedADR(), 10)
        >>> path.points.shape
        torch.Size([11, 1, 2])
    """
    step, gates = WatchedStep(solver.step), WatchedGates(solver.gates, keep_states)
    watched = replace(solver, step=step, gates=gates)
    solution = maximize(objective, x0, domain=domain, solver=watched, steps=steps, check=check, stop_at_goal=False)
    return Trajectory(torch.stack(step.points), gates.states, solution)
