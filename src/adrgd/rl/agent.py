"""An agent as functions of tensors: what an attack differentiates, wherever the agent comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.rl.chain import Array
from adrgd.rl.environments import check_actions


@dataclass(frozen=True)
class Agent:
    """A deterministic policy, and a critic if there is one.

    Attributes:
        actor: observations (B, S) -> actions (B, A) in [-1, 1].
        critic: observations (B, S) and such actions (B, A) -> values (B,).
        low, high: the environment's bounds of each action.
    """

    actor: Callable[[Tensor], Tensor]
    critic: Callable[[Tensor, Tensor], Tensor] | None
    low: Array
    high: Array

    def act(self, observations: Array) -> Array:
        """(B, ...) the actions that the environment takes, for observations (B, S)."""
        with torch.no_grad():
            scaled = self.actor(torch.as_tensor(observations, dtype=torch.float32)).numpy()
        scaled = scaled.reshape(-1, *self.low.shape)
        return np.asarray(self.low + (scaled + 1) / 2 * (self.high - self.low), dtype=np.float32)

    def check(self, space: spaces.Box) -> None:
        """See that an environment takes these actions.

        Raises:
            UsageError: it takes others.
        """
        low, high = self.low, self.high
        if low.shape != space.shape or not (np.allclose(low, space.low) and np.allclose(high, space.high)):
            raise UsageError(
                f"the agent has actions between {low.tolist()} and {high.tolist()}, and the environment {space}; "
                "choose the one that it was trained in"
            )


def agent_of(model: Any) -> Agent:
    """The actor of a TD3, DDPG or SAC model of Stable-Baselines3, without exploration, and its first critic.

    Where it was trained behind `VecNormalize`, that belongs to the agent: it takes the environment's own observations.

    Raises:
        UsageError: an action is not continuous or cannot move, or the model's observations are not one vector.
    """
    if isinstance(model, Agent):
        return model
    policy, space = getattr(model, "policy", None), getattr(model, "action_space", None)
    if inspect.isclass(model) or policy is None or space is None:
        raise UsageError(f"expected a model of TD3, DDPG or SAC, or an Agent, found {model!r:.60}; load it first")
    if not isinstance(space, spaces.Box) or not hasattr(policy, "actor") or not hasattr(policy, "critic"):
        raise UsageError(f"cannot attack {type(model).__name__} with actions {space}; expected TD3, DDPG or SAC")
    check_actions(space, f"this {type(model).__name__}")
    if len(model.observation_space.shape or ()) != 1:
        raise UsageError(f"cannot attack observations {model.observation_space}; expected one vector of numbers")
    policy.set_training_mode(False)
    seen = _normaliser(model)

    def actor(observations: Tensor) -> Tensor:
        options = {"deterministic": True} if hasattr(policy.actor, "action_dist") else {}  # SAC's is stochastic
        actions: Tensor = policy.actor(seen(observations), **options)
        return actions

    def critic(observations: Tensor, actions: Tensor) -> Tensor:
        network = policy.critic.q_networks[0]
        value: Tensor = network(torch.cat([seen(observations).flatten(1), actions], 1))[:, 0]
        return value

    return Agent(actor, critic, space.low, space.high)


def _normaliser(model: Any) -> Callable[[Tensor], Tensor]:
    """What `VecNormalize` does to the observations that an agent was trained on, as it stands."""
    world = model.get_vec_normalize_env()
    if world is None or not world.norm_obs:
        return lambda observations: observations
    mean = torch.as_tensor(world.obs_rms.mean, dtype=torch.float32)
    spread = torch.as_tensor(np.sqrt(world.obs_rms.var + world.epsilon), dtype=torch.float32)
    limit = world.clip_obs
    return lambda observations: ((observations - mean) / spread).clamp(-limit, limit)
