"""Attacks on policies (section 6.3): observations moved inside a small ball so that the agent acts badly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from adrgd.domain import LinfBall, as_eps
from adrgd.errors import UsageError
from adrgd.maximize import maximize
from adrgd.rl.agent import Agent, agent_of
from adrgd.rl.chain import Array
from adrgd.rl.environments import Env, Episode, World, check_actions, opened, play_all
from adrgd.settings import as_count, as_integer, as_seed, settle
from adrgd.solvers import Solver, make_solver

Loss = Literal["critic", "action"]
WITHOUT_SOLVER = ("none", "noise")
PAPER = "adr:paper-fruitbot"  # the paper's settings for policies


@dataclass(frozen=True, kw_only=True)
class ObservationAttack:
    """How observations are perturbed.

    Attributes:
        eps: the largest change of a coordinate, in units of `scale`.
        solver: a solver, or a name: "noise" for uniform random perturbations, "none", "adr" with the paper's settings
            for policies, or any other of `adrgd list`.
        loss: "critic": the action is to have a low value, at the true observation; "action": it is to be far from the
            one that the agent would take.
        steps: iterations of the solver.
        scale: (S,) the unit of each coordinate, e.g. its standard deviation; 1 unless given.
        seed: of the noise and the solver.
    """

    eps: float
    solver: Solver | str = "graduated"
    loss: Loss = "critic"
    steps: int = 20
    scale: Array | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "eps", as_eps(self.eps))
        settle(self, steps=as_integer, seed=as_seed)
        if not 0 <= self.eps < np.inf or self.steps < 1:
            raise UsageError(
                f"eps must be finite and not negative, and steps at least 1, found {self.eps} and {self.steps}"
            )
        if self.loss not in get_args(Loss):
            raise UsageError(f"unknown loss {self.loss!r}; expected one of {', '.join(get_args(Loss))}")
        if self.solver not in WITHOUT_SOLVER:
            self.resolved()

    def resolved(self) -> Solver:
        """The solver itself, beginning where the loss has a gradient.

        Raises:
            UsageError: there is none of that name.
        """
        given = self.solver
        solver = make_solver(given, instead={"adr": make_solver(PAPER)}) if isinstance(given, str) else given
        return replace(solver, random_start=True) if self.loss == "action" else solver  # it is flat at no change

    def check(self, agent: Agent, env: Env) -> None:
        """See that an agent can be attacked so in an environment.

        Raises:
            UsageError: the loss needs a critic, the scale is not one positive number a coordinate, or the environment
                takes other actions than the agent's.
        """
        agent.check(check_actions(env.action_space, "the environment"))
        if self.loss == "critic" and agent.critic is None and self.eps and self.solver not in WITHOUT_SOLVER:
            raise UsageError("the loss 'critic' needs an agent with a critic; choose the loss 'action'")
        if self.scale is not None:
            scale, shape = np.asarray(self.scale), env.observation_space.shape
            if scale.shape != shape or not ((scale > 0) & np.isfinite(scale)).all():
                raise UsageError(
                    f"expected a scale of positive numbers, one for each coordinate of observations of shape {shape}, "
                    f"found {scale.tolist()}"
                )

    def perturb(self, agent: Agent, observations: Array, time: int) -> Array:
        """(B, S) the observations that the agent is shown at this time step, one row an episode."""
        if self.eps == 0 or self.solver == "none":
            return observations
        scale = np.ones(observations.shape[1]) if self.scale is None else np.asarray(self.scale)
        if self.solver == "noise":
            random = np.random.default_rng([self.seed, time])
            moved = random.uniform(-self.eps, self.eps, observations.shape)
            return np.asarray(observations + moved * scale, dtype=np.float32)
        unit = torch.as_tensor(scale, dtype=torch.float32)
        clean = torch.as_tensor(observations, dtype=torch.float32)
        value = self._value(agent, clean)
        solution = maximize(
            lambda x, rows: value(x * unit, rows), clean / unit, domain=LinfBall(clean / unit, self.eps),
            solver=self.resolved(), steps=self.steps, seed=self.seed + time, check=False,
        )  # fmt: skip
        return np.asarray((solution.x * unit).numpy())

    def _value(self, agent: Agent, clean: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        critic = agent.critic
        if self.loss == "critic" and critic is not None:
            return lambda x, rows: -critic(clean[rows], agent.actor(x))
        with torch.no_grad():
            intended = agent.actor(clean)
        return lambda x, rows: (agent.actor(x) - intended[rows]).square().sum(1)


@dataclass(frozen=True)
class PolicyAttack:
    """Episodes from the same starts, without and with the attack."""

    clean: list[Episode]
    attacked: list[Episode]

    @property
    def rewards(self) -> tuple[float, float]:
        """The mean episode reward, clean and attacked."""
        clean, attacked = (float(np.mean([e.reward for e in found])) for found in (self.clean, self.attacked))
        return clean, attacked


def attack_policy(
    model: Any,
    env: World,
    eps: float,
    solver: Solver | str = "graduated",
    loss: Loss = "critic",
    *,
    steps: int = 20,
    episodes: int = 10,
    scale: Array | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> PolicyAttack:
    """Play episodes of a trained agent while its observations are perturbed inside an eps-ball.

    The environment itself is not touched: only what the agent is shown. Episodes are played side by side, and each time
    step is one call of `maximize` on all of them.

    Args:
        model: a TD3, DDPG or SAC model, or an `Agent`.
        env: the environment's name, or a function that makes one; an environment itself is played in one episode after
            another, and left open.
        eps, solver, loss, steps, scale, seed: see `ObservationAttack`.
        episodes: with the starts that belong to seed, seed + 1, ...
        limit: end an episode after that many steps with what it has brought so far; 30,000 unless given, and a warning
            where one is cut by that.

    Raises:
        UsageError: the agent cannot be attacked so, or the environment cannot be made.
    """
    episodes, seed = as_count(episodes, "episodes"), as_seed(seed, "seed")
    agent = agent_of(model)
    attack = ObservationAttack(eps=eps, solver=solver, loss=loss, steps=steps, scale=scale, seed=seed)
    attacked, clean = (  # the attack first: it is what may be refused
        play_attacked(agent, env, one, episodes=episodes, seed=seed, limit=limit)
        for one in (attack, ObservationAttack(eps=0))
    )
    return PolicyAttack(clean, attacked)


def play_attacked(
    agent: Agent, env: World, attack: ObservationAttack, *, episodes: int, seed: int, limit: int | None = None
) -> list[Episode]:
    """Episodes under one attack, side by side where there are several environments.

    Raises:
        UsageError: the agent cannot be attacked so in this environment.
    """
    seeds = range(seed, seed + episodes)
    with opened(env, episodes) as made:
        attack.check(agent, made[0])
        together = [seeds] if len(made) == episodes else [[one] for one in seeds]
        played = [
            play_all(made, lambda seen, t: agent.act(attack.perturb(agent, seen, t)), starts, limit=limit)
            for starts in together
        ]
    return [episode for part in played for episode in part]
