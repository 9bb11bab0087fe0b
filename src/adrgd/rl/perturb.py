"""Perturbations of what a policy is shown: goals that are made large inside a small ball around each observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from adrgd.domain import Box, LinfBall, as_eps
from adrgd.errors import UsageError
from adrgd.gates.outside import outside
from adrgd.given import as_solver
from adrgd.maximize import maximize
from adrgd.objective import find_loss
from adrgd.rl.chain import Array
from adrgd.rl.packing import BYTES
from adrgd.rl.victim import Victim
from adrgd.settings import as_flag, as_integer, as_seed, settle
from adrgd.solvers import Solver

Goal = Literal["paper", "margin", "worst"]
WITHOUT_SOLVER = ("none", "noise")
LOSS = {"paper": "cross-entropy", "margin": "margin", "worst": "cross-entropy"}
"""What stands for each goal where one of several actions is chosen, in `adrgd.objective.LOSSES`."""


class Found(NamedTuple):
    """`x` (B, ...) what a policy is shown, and `passes` (B,), forward and backward ones together, spent on it."""

    x: Tensor
    passes: Tensor


class Search(Protocol):
    """Finds perturbed inputs by itself, within the ball, where one of several actions is chosen.

    `target` (B,) is the action to be reached, or None to leave `action` (B,). Everything is in units of the policy.
    """

    def __call__(
        self, logits: Callable[[Tensor], Tensor], clean: Tensor, action: Tensor, target: Tensor | None, eps: float,
        box: Box, loss: str, seed: int,
    ) -> Found: ...  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """How each observation is perturbed before the policy is shown it.

    Attributes:
        eps: the largest change of a coordinate: in its own unit, and for images of bytes in 255 grey levels, so that
            "3/255" is three of them.
        solver: a solver or its name; "none"; "noise" for uniform noise of the same size; or a search of its own.
        goal: "paper": a low probability of the action that the policy would choose, or for continuous actions a
            distance from it; "margin": another action far ahead of it; "worst": the action of least value, or of least
            probability where the policy has no values; for continuous actions a low value in the critic.
        steps: iterations of the solver for each observation, all of them, whether or not the action changes sooner.
        whole: round what is shown to whole grey levels, as a screen would.
        seed: of the noise and the solver.
    """

    eps: float
    solver: Solver | str | Search
    goal: Goal = "paper"
    steps: int = 10
    whole: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "eps", as_eps(self.eps))
        settle(self, steps=as_integer, seed=as_seed, whole=as_flag)
        if not 0 <= self.eps < np.inf or self.steps < 1:
            raise UsageError(f"expected a finite eps >= 0 and steps >= 1, found {self.eps} and {self.steps}")
        if self.goal not in get_args(Goal):
            raise UsageError(f"unknown goal {self.goal!r}; expected one of {', '.join(get_args(Goal))}")

    def check(self, victim: Victim) -> None:
        """See that a policy can be attacked so.

        Raises:
            UsageError: the goal or the solver is none for its actions.
        """
        if len(victim.groups) == 1 or self.solver in WITHOUT_SOLVER:
            return
        if not isinstance(self.solver, Solver | str):
            found = "several at once" if victim.discrete else "continuous ones"
            raise UsageError(f"this solver needs one of several actions, found {found}; choose another")
        if victim.discrete:
            return
        if self.goal == "margin":
            raise UsageError("the goal 'margin' needs one of several actions; choose 'paper' for continuous ones")
        if self.goal == "worst" and victim.critic is None:
            raise UsageError("the goal 'worst' needs a critic of continuous actions; choose the goal 'paper'")

    def perturb(self, victim: Victim, observations: Array, rows: Array, time: int) -> Found:
        """What the policy is shown for observations (B, ...): floats in their units.

        Args:
            rows: (B,) which environments they come from: a row's random numbers depend on it, and on `time`.
        """
        clean = torch.as_tensor(observations, dtype=torch.float32, device=victim.device)
        passes = torch.zeros(len(clean), dtype=torch.int64, device=clean.device)
        if self.eps == 0 or self.solver == "none":
            return Found(clean, passes)
        unit, (low, high) = victim.packing.unit.to(clean), victim.packing.bounds(clean)
        seed = self.seed + 1_000_003 * time
        if self.solver == "noise":
            random = np.random.default_rng([self.seed, time])
            moved = random.uniform(-self.eps, self.eps, (int(rows.max()) + 1, *clean.shape[1:]))[rows]
            shown = clean + unit * torch.as_tensor(moved, dtype=torch.float32, device=clean.device)
        else:
            box = Box(low / unit, high / unit)
            found, passes = self._found(victim, clean / unit, box, torch.as_tensor(rows), seed)
            shown = unit * found
        reach = self.eps * unit
        shown = shown.clamp(min=clean - reach, max=clean + reach).clamp(low, high)
        if self.whole:
            grey = shown.round().clamp(min=(clean - reach).ceil(), max=(clean + reach).floor())
            levels = (unit == BYTES) | bool((unit == unit.amax()).all())
            shown = torch.where(levels, grey, shown)
        return Found(shown, passes)

    def _found(self, victim: Victim, clean: Tensor, box: Box, rows: Tensor, seed: int) -> Found:
        """The same in units of the policy."""
        unit = victim.packing.unit.to(clean)
        network: Callable[[Tensor], Tensor] = lambda x: victim.outputs(x * unit)  # noqa: E731
        with torch.no_grad():
            intended = network(clean)
        action, target = intended.argmax(1), intended.argmin(1) if self.goal == "worst" else None
        if not isinstance(self.solver, Solver | str):
            return self.solver(network, clean, action, target, self.eps, box, LOSS[self.goal], seed)
        solver, value = as_solver(self.solver), _value(victim, network, clean, intended, self.goal)
        if not victim.discrete and self.goal == "paper":
            solver = replace(solver, random_start=True)  # the distance is flat at no change
        solution = maximize(
            value, clean, domain=LinfBall(clean, self.eps, box), solver=solver, steps=self.steps, seed=seed,
            identity=rows, check=False,
        )  # fmt: skip
        return Found(solution.x, solution.forwards + solution.backwards)


def _value(
    victim: Victim, network: Callable[[Tensor], Tensor], clean: Tensor, intended: Tensor, goal: Goal
) -> Callable[[Tensor, Tensor], Tensor]:
    """What is made large, from the outputs at the clean observations."""
    critic = victim.critic
    if not victim.discrete and goal == "worst" and critic is not None:
        unit = victim.packing.unit.to(clean)
        return lambda x, rows: -critic(unit * clean[rows], network(x))
    if not victim.discrete:
        return lambda x, rows: (network(x) - intended[rows]).square().flatten(1).sum(1)
    worst = goal == "worst"
    loss = find_loss(LOSS[goal], targeted=worst)
    aims = [one.argmin(1) if worst else one.argmax(1) for one in victim.of_groups(intended)]

    def value(x: Tensor, rows: Tensor) -> Tensor:
        """Of actions that are taken together: of their joint probability, or that of the one which moves most."""
        outputs = network(x)
        with outside():
            parts = zip(victim.of_groups(outputs), aims, strict=True)
            each = torch.stack([loss(one, aim[rows]) for one, aim in parts])
            return each.amax(0) if goal == "margin" else each.sum(0)

    return value
