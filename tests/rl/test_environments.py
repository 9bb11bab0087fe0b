"""Environments by name, and whole episodes."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)
from __future__ import annotations

import sys

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium", reason="needs the extra [rl]")
pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.errors import MissingExtraError, UsageError
from adrgd.rl.environments import make_env, play, play_all

from .worlds import REACH


@pytest.mark.parametrize("name", ["Nowhere-v0", "", "Pendulum-v99", "no_such_module:World-v0", "a b c"])
def test_an_unknown_environment(name: str) -> None:
    with pytest.raises(UsageError, match="cannot make the environment .* expected a name of Gymnasium's registry"):
        make_env(name)


def test_discrete_actions() -> None:
    with pytest.raises(UsageError, match=r"CartPole-v1 has the actions Discrete\(2\); expected a bounded Box"):
        make_env("CartPole-v1")


def test_mujoco_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [module for module in sys.modules if module.startswith(("mujoco", "gymnasium.envs.mujoco"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(MissingExtraError, match=r'HalfCheetah-v5 needs a package .*pip install ".*\[rl\]"'):
        make_env("HalfCheetah-v5")


def test_episodes_follow_their_seeds() -> None:
    env = make_env(REACH)
    one, again, other = (play(env, lambda seen: np.zeros(2), seed) for seed in (3, 3, 4))
    assert one == again != other
    assert one.length == 20


def test_side_by_side_is_one_after_another() -> None:
    def act(seen: np.ndarray, t: int) -> np.ndarray:
        return np.stack([-seen[:, 0], 0.25 - 0.1 * seen[:, 1]], 1).clip([-2, 0], [2, 0.5])

    together = play_all([make_env(REACH) for _ in range(3)], act, [5, 6, 7])
    env = make_env(REACH)
    alone = [play(env, lambda seen: act(seen[None], 0)[0], seed) for seed in (5, 6, 7)]
    assert [episode.reward for episode in together] == pytest.approx([episode.reward for episode in alone])


def test_episodes_end_at_different_times() -> None:
    envs = [make_env(REACH, max_episode_steps=length) for length in (3, 9, 5)]
    counts = []

    def act(seen: np.ndarray, t: int) -> np.ndarray:
        counts.append(len(seen))
        return np.zeros((len(seen), 2))

    assert [episode.length for episode in play_all(envs, act, [0, 1, 2])] == [3, 9, 5]
    assert counts == [3, 3, 3, 2, 2, 1, 1, 1, 1]
