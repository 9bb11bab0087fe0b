"""TD3 and DDPG of Stable-Baselines3 with refined actions: only the choice of an action is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import stable_baselines3 as sb3
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from adrgd.rl.chain import Array
from adrgd.rl.config import RefineConfig
from adrgd.rl.environments import check_actions
from adrgd.rl.refine import check_critic, refine

COINS = 0xADD  # keeps the coin flips apart from whatever else is seeded with the same number


class _Refining(OffPolicyAlgorithm):
    """Takes `refine`, a `RefineConfig` or None for the plain algorithm, beside Stable-Baselines3's own arguments.

    TensorBoard gets `refine/gain`, the mean gain of a refined action in the critic, and `refine/share`, the share
    of actions that were refined.

    Attributes:
        refined, gained: the number of actions refined so far, and the sum of their gains.
        coins: decides which actions are refined; it follows the model's seed and is saved with the model.
    """

    def __init__(self, *args: Any, refine: RefineConfig | None = None, **kwargs: Any) -> None:
        self.refine = refine
        self.coins: np.random.Generator | None = None
        self.refined, self.gained = 0, 0.0
        try:
            super().__init__(*args, **kwargs)
        except AssertionError:  # so it says that it takes no such actions
            if (space := getattr(self, "action_space", None)) is not None:
                check_actions(space, "the environment")
            raise

    def _setup_model(self) -> None:
        saved = self.coins  # a model that was loaded brings its own
        super()._setup_model()
        self.coins = saved or self.coins or np.random.default_rng()
        if self.refine is not None:
            check_critic(self, self.refine)

    def set_random_seed(self, seed: int | None = None) -> None:
        super().set_random_seed(seed)
        if seed is not None:
            self.coins = np.random.default_rng([COINS, seed])

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[Array, Array]:
        config, coins = self.refine, self.coins
        start = learning_starts if config is None or config.start is None else max(config.start, learning_starts)
        if config is None or coins is None or self.num_timesteps < start:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        drawn = coins.random(n_envs) < config.probability
        self._note("refine/share", drawn.mean())
        if not drawn.any():
            return super()._sample_action(learning_starts, action_noise, n_envs)
        _, scaled = super()._sample_action(learning_starts, None, n_envs)
        rows = np.flatnonzero(drawn)
        refined = refine(self, self._last_obs, scaled[rows], config, rows)
        self._note("refine/gain", refined.gain.mean())
        self.refined, self.gained = self.refined + len(rows), self.gained + float(refined.gain.sum())
        scaled = np.array(scaled)
        scaled[rows] = refined.actions
        if action_noise is not None:
            noise = np.broadcast_to(action_noise(), scaled.shape)
            noisy = np.full(n_envs, True) if config.noise else ~drawn
            scaled = np.where(noisy.reshape(-1, *[1] * (scaled.ndim - 1)), np.clip(scaled + noise, -1, 1), scaled)
        return self.policy.unscale_action(scaled), scaled

    def _note(self, name: str, value: float) -> None:
        if hasattr(self, "_logger"):  # there is none before `learn`
            self.logger.record_mean(name, float(value))


class TD3(_Refining, sb3.TD3):
    """`stable_baselines3.TD3`, with `refine=RefineConfig(...)`."""


class DDPG(_Refining, sb3.DDPG):
    """`stable_baselines3.DDPG`, with `refine=RefineConfig(...)`."""
