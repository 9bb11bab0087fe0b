"""Gymnasium's vector environments as Stable-Baselines3 takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from adrgd.rl.chain import Array


class Vectorised(VecEnv):
    """A vector environment whose episodes restart in the step in which they end.

    Each finished episode's reward and length stand in its `info["episode"]`, as Stable-Baselines3's monitors write it.
    """

    def __init__(self, env: VectorEnv[Array, Array, Array], seed: int = 0) -> None:
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._start = seed
        self._actions: Any = None
        self._rewards, self._lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, dtype=int)

    def reset(self) -> Any:
        """The first observations; a second call starts other episodes."""
        seen, _ = self.env.reset(seed=self._start)
        self._start += 1
        self._rewards[:], self._lengths[:] = 0, 0
        return seen

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        seen, rewards, terminated, truncated, _ = self.env.step(self._actions)
        done = terminated | truncated
        self._rewards += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in done]
        for k in np.flatnonzero(done):
            infos[k]["episode"] = {"r": float(self._rewards[k]), "l": int(self._lengths[k])}
            infos[k]["TimeLimit.truncated"] = False
        self._rewards[done], self._lengths[done] = 0, 0
        return seen, rewards, done, infos

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.env, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self.env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return [getattr(self.env, method_name)(*args, **kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        self._start = self._start if seed is None else seed
        return [self._start] * self.num_envs
