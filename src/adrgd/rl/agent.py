"""An agent as functions of tensors: what an attack differentiates, wherever the agent comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.rl.chain import Array


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
        """(B, A) the actions that the environment takes, for observations (B, S)."""
        with torch.no_grad():
            scaled = self.actor(torch.as_tensor(observations, dtype=torch.float32)).numpy()
        return np.asarray(self.low + (scaled + 1) / 2 * (self.high - self.low), dtype=np.float32)


def agent_of(model: Any) -> Agent:
    """The actor of a TD3, DDPG or SAC model of Stable-Baselines3, without exploration, and its first critic.

    Raises:
        UsageError: the model's actions are not continuous, or its observations are not one vector.
    """
    if isinstance(model, Agent):
        return model
    policy, space = model.policy, model.action_space
    if not isinstance(space, spaces.Box) or not hasattr(policy, "actor") or not hasattr(policy, "critic"):
        raise UsageError(f"cannot attack {type(model).__name__} with actions {space}; expected TD3, DDPG or SAC")
    if len(model.observation_space.shape or ()) != 1:
        raise UsageError(f"cannot attack observations {model.observation_space}; expected one vector of numbers")
    policy.set_training_mode(False)

    def actor(observations: Tensor) -> Tensor:
        options = {"deterministic": True} if hasattr(policy.actor, "action_dist") else {}  # SAC's is stochastic
        actions: Tensor = policy.actor(observations, **options)
        return actions

    def critic(observations: Tensor, actions: Tensor) -> Tensor:
        network = policy.critic.q_networks[0]
        value: Tensor = network(torch.cat([observations.flatten(1), actions], 1))[:, 0]
        return value

    return Agent(actor, critic, space.low, space.high)
