"""Watches a solver while `maximize` runs: every iterate, and every state of its gates.

Both watchers wrap a rule of the solver, so what they note are the solver's own points; the points that it only probes
pass through the objective and are not seen here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from adrgd import ADRGD, GraduatedADR, NormalisedGD, Solution, Solver, maximize
from adrgd.domain import Domain
from adrgd.solvers import preset
from adrgd.solvers.solver import Evaluation, GateRule, Objective, Problem, StepRule


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

    def start(self, problem: Problem, x: Tensor) -> Any:
        return self.rule.start(problem, x)

    def evaluate(self, problem: Problem, x: Tensor, state: Any, t: int) -> Evaluation:
        found = self.rule.evaluate(problem, x, state, t)
        if self.keep_states:
            self.states.append(state)
        self.values.append(found.score.value)
        return found


@dataclass(frozen=True)
class Path:
    """A run: its iterates (steps + 1, B, ...), the states of its gates if kept, and what `maximize` returned."""

    points: Tensor
    states: list[Any]
    solution: Solution


def follow(
    objective: Objective, x0: Tensor, domain: Domain, solver: Solver, steps: int, *, keep_states: bool = False
) -> Path:
    """Run `solver` from x0 (B, ...) and keep its path."""
    step, gates = WatchedStep(solver.step), WatchedGates(solver.gates, keep_states)
    watched = replace(solver, step=step, gates=gates)
    solution = maximize(objective, x0, domain=domain, solver=watched, steps=steps, check=False)
    return Path(torch.stack(step.points), gates.states, solution)


def gates_under(step: StepRule) -> dict[str, Solver]:
    """The solvers that the figures compare, all of them with this step: only their gates differ."""
    return {
        "GD": NormalisedGD(step=step),
        "ADR-GD": ADRGD(gates=preset("paper-random-a").gates, step=step),
        "ADR-GD, released settings": ADRGD(gates=preset("released-random-a").gates, step=step),
        "GraduatedADR": GraduatedADR(step=step),
    }
