"""Whole episodes of a policy whose every observation is perturbed, many environments side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack
from torch import Tensor

from adrgd.errors import MissingExtraError, UsageError, warn
from adrgd.rl.chain import Array
from adrgd.rl.environments import LONGEST, Episode, endless
from adrgd.rl.perturb import Perturbation
from adrgd.rl.procgen import PREFIX, procgen_of
from adrgd.rl.vector import Vectorised
from adrgd.rl.victim import Victim
from adrgd.settings import as_count, as_integer, as_seed, maybe

Advance = Callable[[int, int], None]
"""Told the number of episodes that have ended, and of steps."""


@dataclass(frozen=True)
class Siege:
    """Episodes, the frames that were shown in them, and the passes that were spent on those, both kinds together."""

    episodes: list[Episode]
    frames: int
    passes: int


def make_world(name: str, count: int, *, seed: int = 0, frames: int = 1) -> VecEnv:
    """Copies of an environment of Gymnasium, or of a game of Procgen ("procgen:fruitbot"), side by side.

    Args:
        frames: how many of the last observations are shown together.

    Raises:
        UsageError, MissingExtraError: it cannot be made.
    """
    count, frames, seed = as_count(count, "count"), as_count(frames, "frames"), as_seed(seed, "seed")
    try:
        env: Any = (
            procgen_of(name, count)
            if name.startswith(PREFIX)
            else gymnasium.make_vec(
                name, count, vectorization_mode="sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}
            )
        )
    except gymnasium.error.DependencyNotInstalled as error:
        raise MissingExtraError(f"{name} needs a package that is not installed ({error})") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise UsageError(
            f"cannot make the environment {name!r}: {str(error).rstrip('.')}; expected a name of Gymnasium's registry, "
            "or procgen:GAME"
        ) from error
    world = Vectorised(env, seed)
    return VecFrameStack(world, frames) if frames > 1 else world


def play_siege(
    victim: Victim,
    world: VecEnv,
    perturbation: Perturbation,
    *,
    episodes: int,
    seed: int = 0,
    sample: bool = False,
    limit: int | None = None,
    advance: Advance | None = None,
    watch: Callable[[Tensor], object] | None = None,
) -> Siege:
    """Play episodes under one perturbation.

    Each environment plays its share of the episodes, to their ends, so that short ones count no more than long ones.

    Args:
        world: freshly made; with the same seed, every perturbation meets the same episodes' starts.
        sample: draw actions from the policy instead of taking the best.
        limit: end an episode after that many steps with what it has brought so far; each environment plays one then.
            30,000 unless given, with a warning where one is cut by that.
        watch: given what is shown in each step, one row for each environment that still plays.

    Returns:
        The episodes, those of the first environment first.

    Raises:
        UsageError: the policy cannot be attacked so, or an environment that was to play several episodes ends none.
    """
    if not isinstance(world, VecEnv):
        raise UsageError(f"expected environments of make_world, found {type(world).__name__}; make them")
    limit, seed = maybe(as_integer)(limit, "limit"), as_seed(seed, "seed")
    perturbation.check(victim)
    if sample and not victim.samples:
        raise UsageError("the policy has no probabilities of actions to draw from; leave --sample out")
    count, episodes = world.num_envs, as_count(episodes, "episodes")
    if limit is not None and (limit < 1 or episodes > count):
        raise UsageError(
            f"a limit of steps must be at least 1, and ends no more than one episode an environment; found {limit}, "
            f"and {episodes} episodes in {count} environments; play as many side by side"
        )
    left = np.full(count, episodes // count) + (np.arange(count) < episodes % count)
    seen = victim.packing.pack(world.reset())
    rewards, lengths = np.zeros(count), np.zeros(count, dtype=int)
    found: list[list[Episode]] = [[] for _ in range(count)]
    idle = victim.idle(count)
    time = frames = passes = 0
    while left.any():
        rows = np.flatnonzero(left)
        actions = idle.copy()
        shown, spent = perturbation.perturb(victim, seen[rows], rows, time)
        if watch is not None:
            watch(shown)
        actions[rows] = victim.act(shown, np.random.default_rng([seed, time]) if sample else None)
        frames, passes = frames + len(rows), passes + int(spent.sum())
        later, gained, done, _ = world.step(actions)
        seen = victim.packing.pack(later)
        rewards, lengths, time = rewards + gained, lengths + 1, time + 1
        cut = (lengths == (limit or LONGEST)) & ~done & (left > 0)
        if cut.any() and limit is None:
            _say_endless(world, int(cut.sum()), int(left[cut].max()))
        for k in np.flatnonzero(done | cut):
            if left[k]:
                found[k].append(Episode(float(rewards[k]), int(lengths[k])))
                left[k] -= 1
            rewards[k], lengths[k] = 0.0, 0
        if advance is not None:
            advance(episodes - int(left.sum()), time)
    return Siege([episode for played in found for episode in played], frames, passes)


def _say_endless(world: VecEnv, count: int, left: int) -> None:
    sentence = endless(world, count, LONGEST)
    if left > 1:  # nobody can begin the next episode in the middle of this one
        raise UsageError(f"{sentence}, and play as many episodes side by side as there are in all")
    warn(sentence)


def summary_of(siege: Siege) -> dict[str, Any]:
    """The mean episode reward with a 95 % interval, lengths, and passes an observation."""
    rewards = np.array([one.reward for one in siege.episodes])
    low, high = interval(rewards)
    return {
        "reward": float(rewards.mean()), "interval_95": [low, high], "episodes": len(rewards),
        "length": float(np.mean([one.length for one in siege.episodes])), "passes": siege.passes / max(1, siege.frames),
    }  # fmt: skip


def interval(values: Array) -> tuple[float, float]:
    """The 95 % interval of a mean, by the normal law; both ends are NaN for a single value."""
    half = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return float(np.mean(values)) - half, float(np.mean(values)) + half
