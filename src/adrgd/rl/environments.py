"""Environments by name, and whole episodes in them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from adrgd.errors import MissingExtraError, UsageError, installing, warn
from adrgd.rl.chain import Array
from adrgd.settings import as_count

Env = gymnasium.Env[Array, Array]
World = str | Env | Callable[[], Env]
"""An environment's name, itself, or what makes one."""

LONGEST = 30_000
"""Steps of an episode where no limit is given: more than those of the Atari games, whose episodes are the longest."""

Act = Callable[[Array], Array]
"""A policy as a function: observation -> action."""


@dataclass(frozen=True)
class Episode:
    """What one episode brought."""

    reward: float
    length: int


def make_env(name: str, **options: Any) -> Env:
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
            f"{name} needs a package that is not installed ({error}); MuJoCo comes with: {installing('rl')}"
        ) from error
    except (gymnasium.error.Error, ImportError) as error:
        raise UsageError(
            f"cannot make the environment {name!r}: {str(error).rstrip('.')}; expected a name of Gymnasium's registry, "
            "such as HalfCheetah-v5"
        ) from error
    try:
        check_actions(env.action_space, name)
    except UsageError:
        env.close()
        raise
    return env


def check_actions(space: spaces.Space[Any], owner: str) -> spaces.Box:
    """See that actions can be scaled to [-1, 1].

    Args:
        owner: whose actions they are, for the sentence.

    Raises:
        UsageError: they are not continuous, not bounded, or one of them has no room.
    """
    if not isinstance(space, spaces.Box) or not space.is_bounded():
        raise UsageError(f"{owner} has the actions {space}; expected a bounded Box, that is continuous actions")
    if not (space.low < space.high).all():
        at = int(np.flatnonzero(~(space.low < space.high))[0])
        raise UsageError(
            f"{owner} has an action that cannot move: expected low < high, found both at {space.low.flat[at]:g} for "
            f"action {at}; leave it out of the action space"
        )
    return space


@contextmanager
def opened(world: World, count: int) -> Iterator[list[Env]]:
    """`count` environments side by side, closed at the end; of one that is given as it is, that one alone, left open.

    Raises:
        UsageError: it is no environment and makes none, or its actions are not continuous and bounded.
    """
    if isinstance(world, str):
        made = [make_env(world) for _ in range(count)]
    elif isinstance(world, gymnasium.Env) or not callable(world):
        made = [world]
    else:
        made = [world() for _ in range(count)]
    for env in made:
        if not isinstance(env, gymnasium.Env):
            raise UsageError(
                "expected an environment of Gymnasium, its name, or a function that makes one, found "
                f"{type(env).__name__}; pass what it was made from"
            )
        check_actions(env.action_space, env.spec.id if env.spec else type(env.unwrapped).__name__)
    if len(set(map(id, made))) < len(made):
        raise UsageError("expected a new environment from each call, found the same one; pass it as it is instead")
    try:
        yield made
    finally:
        for env in made:
            if env is not world:
                env.close()


def play(
    env: Env,
    act: Act,
    seed: int,
    seen: Callable[[], object] | None = None,
    *,
    limit: int | None = None,
    longest: int = LONGEST,
) -> Episode:
    """One episode from the start that belongs to `seed`; `seen` is called at the start and after each step."""

    def act_on_one(observations: Array, t: int) -> Array:
        if seen is not None:
            seen()
        return act(observations[0])[None]

    (episode,) = play_all([env], act_on_one, [seed], limit=limit, longest=longest)
    if seen is not None:
        seen()
    return episode


def play_all(
    envs: Sequence[Env],
    act: Callable[[Array, int], Array],
    seeds: Iterable[int],
    *,
    limit: int | None = None,
    longest: int = LONGEST,
) -> list[Episode]:
    """One episode in each environment, side by side.

    Args:
        act: takes the observations (B, S) of the episodes that still go on, and the time step.
        seeds: of each episode's start.
        limit: end an episode after that many steps with what it has brought so far.
        longest: the same where no limit is given, and said then: some environments never end an episode.

    Raises:
        UsageError: the limit is below one.
    """
    if limit is not None:
        limit = as_count(limit, "limit")
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
        if going and t == (limit or longest):
            if limit is None:
                warn(endless(envs[going[0]], len(going), t))
            break
    return [Episode(reward, length) for reward, length in zip(rewards, lengths, strict=True)]


def endless(world: Any, count: int, steps: int) -> str:
    """What to say of episodes that were cut, since they had not ended by themselves."""
    name = getattr(getattr(world, "spec", None), "id", None) or "the environment"
    return (
        f"{count} episode{'s' if count > 1 else ''} of {name} had not ended after {steps} steps, and count with what "
        "they had brought so far; set a limit of steps, or give the environment one by max_episode_steps"
    )


def _keep_mujoco_quiet(name: str) -> None:
    """MuJoCo prints and logs into the current folder that Gymnasium's own models use an old attribute."""
    if "mujoco" in str(gymnasium.spec(name).entry_point):
        try:
            mujoco = importlib.import_module("mujoco")
        except ImportError:
            return  # said, with what to do, when the environment is made
        mujoco.set_mju_user_warning(lambda text: None)
