"""Refined actions of an agent that is trained already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adrgd.errors import UsageError
from adrgd.rl.chain import Array
from adrgd.rl.config import RefineConfig
from adrgd.rl.refine import check_critic, refine


@dataclass(frozen=True)
class RefinedPolicy:
    """Predicts like a Stable-Baselines3 model, each action refined; `evaluate_policy` takes it as it is."""

    model: Any
    config: RefineConfig

    def predict(
        self,
        observation: Any,
        state: tuple[Array, ...] | None = None,
        episode_start: Array | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, tuple[Array, ...] | None]:
        """The refined actions for one observation or a batch of them, within the action space's bounds."""
        policy = self.model.policy
        actions, state = self.model.predict(observation, state, episode_start, deterministic)
        proposal = np.clip(policy.scale_action(actions).reshape(-1, *policy.action_space.shape), -1, 1)
        refined = refine(self.model, observation, proposal, self.config)
        return policy.unscale_action(refined.actions.reshape(actions.shape)), state


def refined_policy(model: Any, config: RefineConfig | None = None) -> RefinedPolicy:
    """Refine every action of a trained TD3, DDPG or SAC model, whose critics are maximised.

    Raises:
        UsageError: the model has no critic of states and continuous actions, or one without ReLUs.
    """
    config = RefineConfig() if config is None else config
    if not isinstance(config, RefineConfig):
        raise UsageError(f"config must be a RefineConfig, found {config!r}; make one")
    check_critic(model, config)
    return RefinedPolicy(model, config)
