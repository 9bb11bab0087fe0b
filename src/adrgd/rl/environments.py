"""Environments by name, and whole episodes in them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from adrgd.errors import MissingExtraError, UsageError
from adrgd.rl.chain import Array

Act = Callable[[Array], Array]
"""A policy as a function: observation -> action."""


@dataclass(frozen=True)
class Episode:
    """What one episode brought."""

    reward: float
    length: int


def make_env(name: str, **options: Any) -> gymnasium.Env[Array, Array]:
    """The environment that Gymnasium knows by this name, e.g. "HalfCheetah-v5".

    Raises:
        UsageError: there is none, or its actions are not continuous and bounded.
        MissingExtraError: it needs a package that is not installed.
    """
    try:
        _keep_mujoco_quiet(name)
        env = gymnasium.make(name, **options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise MissingExtraError(
            f'{name} needs a package that is not installed ({error}); MuJoCo comes with: pip install "adrgd[rl]"'
        ) from error
    except (gymnasium.error.Error, ImportError) as error:
        raise UsageError(
            f"cannot make the environment {name!r}: {str(error).rstrip('.')}; expected a name of Gymnasium's registry, "
            "such as HalfCheetah-v5"
        ) from error
    space = env.action_space
    if not isinstance(space, spaces.Box) or not space.is_bounded():
        env.close()
        raise UsageError(f"{name} has the actions {space}; expected a bounded Box, that is continuous actions")
    return env


def play(env: gymnasium.Env[Array, Array], act: Act, seed: int, seen: Callable[[], object] | None = None) -> Episode:
    """One episode from the start that belongs to `seed`; `seen` is called at the start and after each step."""

    def act_on_one(observations: Array, t: int) -> Array:
        if seen is not None:
            seen()
        return act(observations[0])[None]

    (episode,) = play_all([env], act_on_one, [seed])
    if seen is not None:
        seen()
    return episode


def play_all(
    envs: Sequence[gymnasium.Env[Array, Array]], act: Callable[[Array, int], Array], seeds: Iterable[int]
) -> list[Episode]:
    """One episode in each environment, side by side.

    Args:
        act: takes the observations (B, S) of the episodes that still go on, and the time step.
        seeds: of each episode's start.
    """
    observations = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
    rewards, lengths = [0.0] * len(envs), [0] * len(envs)
    going, t = list(range(len(envs))), 0
    while going:
        actions = act(np.stack([observations[k] for k in going]), t)
        still = []
        for k, action in zip(going, actions, strict=True):
            observations[k], gained, terminated, truncated, _ = envs[k].step(action)
            rewards[k] += float(gained)
            lengths[k] += 1
            if not (terminated or truncated):
                still.append(k)
        going, t = still, t + 1
    return [Episode(reward, length) for reward, length in zip(rewards, lengths, strict=True)]


def _keep_mujoco_quiet(name: str) -> None:
    """MuJoCo prints and logs into the current folder that Gymnasium's own models use an old attribute."""
    if "mujoco" in str(gymnasium.spec(name).entry_point):
        try:
            mujoco = importlib.import_module("mujoco")
        except ImportError:
            return  # said, with what to do, when the environment is made
        mujoco.set_mju_user_warning(lambda text: None)
