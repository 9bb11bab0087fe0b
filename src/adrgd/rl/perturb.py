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
from adrgd.given import as_solver
from adrgd.maximize import maximize
from adrgd.objective import find_loss
from adrgd.rl.chain import Array
from adrgd.rl.victim import Victim
from adrgd.settings import as_flag, as_integer, as_seed, settle
from adrgd.solvers import Solver

Goal = Literal["paper", "margin", "worst"]
WITHOUT_SOLVER = ("none", "noise")
LOSS = {"paper": "cross-entropy", "margin": "margin", "worst": "cross-entropy"}
"""What stands for each goal where one of several actions is chosen, in `adrgd.objective.LOSSES`."""
INFINITE = 1e30  # stands for bounds that an observation space does not have


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
        if victim.discrete or self.solver in WITHOUT_SOLVER:
            return
        if self.goal == "margin":
            raise UsageError("the goal 'margin' needs one of several actions; choose 'paper' for continuous ones")
        if self.goal == "worst" and victim.critic is None:
            raise UsageError("the goal 'worst' needs a critic of continuous actions; choose the goal 'paper'")
        if not isinstance(self.solver, Solver | str):
            raise UsageError("this solver needs one of several actions, found continuous ones; choose another")

    def perturb(self, victim: Victim, observations: Array, rows: Array, time: int) -> Found:
        """What the policy is shown for observations (B, ...): floats in their units.

        Args:
            rows: (B,) which environments they come from: a row's random numbers depend on it, and on `time`.
        """
        clean = torch.as_tensor(observations, dtype=torch.float32, device=victim.device)
        passes = torch.zeros(len(clean), dtype=torch.int64, device=clean.device)
        if self.eps == 0 or self.solver == "none":
            return Found(clean, passes)
        unit, low, high = victim.unit, *_bounds(victim, clean)
        seed = self.seed + 1_000_003 * time
        if self.solver == "noise":
            random = np.random.default_rng([self.seed, time])
            moved = random.uniform(-self.eps, self.eps, (int(rows.max()) + 1, *clean.shape[1:]))[rows] * unit
            shown = clean + torch.as_tensor(moved, dtype=torch.float32, device=clean.device)
        else:
            box = Box(low / unit, high / unit)
            found, passes = self._found(victim, clean / unit, box, torch.as_tensor(rows), seed)
            shown = unit * found
        reach = self.eps * unit
        shown = shown.clamp(min=clean - reach, max=clean + reach).clamp(low, high)
        if self.whole:
            shown = shown.round().clamp(min=(clean - reach).ceil(), max=(clean + reach).floor())
        return Found(shown, passes)

    def _found(self, victim: Victim, clean: Tensor, box: Box, rows: Tensor, seed: int) -> Found:
        """The same in units of the policy."""
        network: Callable[[Tensor], Tensor] = lambda x: victim.outputs(x * victim.unit)  # noqa: E731
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
        return lambda x, rows: -critic(victim.unit * clean[rows], network(x))
    if not victim.discrete:
        return lambda x, rows: (network(x) - intended[rows]).square().flatten(1).sum(1)
    worst = goal == "worst"
    loss, aim = find_loss(LOSS[goal], targeted=worst), intended.argmin(1) if worst else intended.argmax(1)
    return lambda x, rows: loss(network(x), aim[rows])


def _bounds(victim: Victim, clean: Tensor) -> tuple[Tensor, Tensor]:
    """The observation space's bounds, finite, around observations that may leave it a little."""
    low, high = (
        torch.as_tensor(np.nan_to_num(bound.astype(np.float64), posinf=INFINITE, neginf=-INFINITE)).to(clean)
        for bound in (victim.space.low, victim.space.high)
    )
    return torch.minimum(low.clamp_min(-INFINITE), clean), torch.maximum(high.clamp_max(INFINITE), clean)
