"""TD3 and DDPG with refined actions: where they are the plain algorithms, and where they are not."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecNormalize

from adrgd.errors import UsageError
from adrgd.rl import DDPG, TD3
from adrgd.rl.environments import make_env

from .worlds import REACH, agent, quick, transitions, weights

BOTH = pytest.mark.parametrize(("ours", "plain"), [(TD3, sb3.TD3), (DDPG, sb3.DDPG)])


def noise(size: int = 2) -> NormalActionNoise:
    return NormalActionNoise(np.zeros(size), 0.1 * np.ones(size))


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@BOTH
def test_without_a_refinement_it_is_the_plain_algorithm(ours: Any, plain: Any) -> None:
    models = [agent(kind, action_noise=noise()).learn(80) for kind in (ours, plain)]
    assert same(*map(transitions, models))
    assert same(*map(weights, models))


@BOTH
def test_until_the_start_the_replay_buffer_is_the_plain_algorithm_s(ours: Any, plain: Any) -> None:
    refined = agent(ours, action_noise=noise(), refine=quick(start=60, probability=1.0)).learn(80)
    reference = agent(plain, action_noise=noise()).learn(80)
    one, other = transitions(refined), transitions(reference)
    assert same([part[:60] for part in one], [part[:60] for part in other])
    assert not np.array_equal(one[1][60], other[1][60])


def test_coins_that_never_fall_change_nothing() -> None:
    """The coins have a generator of their own."""
    refined = agent(action_noise=noise(), refine=quick(probability=0.0)).learn(80)
    reference = agent(sb3.TD3, action_noise=noise()).learn(80)
    assert same(*map(weights, (refined, reference)))
    assert refined.refined == 0


@pytest.mark.parametrize("kind", [TD3, DDPG])
def test_the_same_seed_gives_the_same_bits(kind: Any) -> None:
    one, other, third = (agent(kind, seed=s, action_noise=noise(), refine=quick()).learn(80) for s in (1, 1, 2))
    assert same(weights(one), weights(other))
    assert not same(weights(one), weights(third))
    assert one.refined == other.refined > 0


def test_no_refinement_during_random_actions() -> None:
    model = agent(refine=quick(start=0, probability=1.0)).learn(40)
    assert model.refined == 0


def test_the_share_of_refined_actions() -> None:
    model = agent(refine=quick(probability=0.25, steps=1), learning_starts=10, gradient_steps=1).learn(410)
    assert 70 <= model.refined <= 130


@pytest.mark.parametrize("solver", ["graduated", "gd", "adr"])
def test_bounds_that_are_not_minus_one_to_one(solver: str) -> None:
    """The critic and the buffer see scaled actions, the world sees its own."""
    model = agent(refine=quick(solver=solver, probability=1.0, noise=True, radius=None), action_noise=noise()).learn(80)
    scaled = transitions(model)[1][:, 0]
    assert np.abs(scaled).max() <= 1
    taken = np.stack(model.env.envs[0].unwrapped.actions)
    low, high = model.action_space.low, model.action_space.high
    assert (taken >= low).all()
    assert (taken <= high).all()
    np.testing.assert_allclose(low + (scaled + 1) / 2 * (high - low), taken, atol=1e-6)


def test_refined_actions_are_better_in_the_critic() -> None:
    """Replay one choice by hand: the critic prefers it to the actor's own."""
    model = agent(refine=quick(probability=1.0, steps=30, critic="min")).learn(60)
    _, proposal = sb3.TD3._sample_action(model, 0, None, 1)
    _, action = model._sample_action(0, None, 1)
    seen, _ = model.policy.obs_to_tensor(model._last_obs)
    with torch.no_grad():
        before, after = (torch.cat(model.critic(seen, torch.tensor(a)), 1).amin() for a in (proposal, action))
    assert after > before


@pytest.mark.parametrize(("switch", "moved"), [(False, False), (True, True)])
def test_noise_on_refined_actions_is_a_switch(switch: bool, moved: bool) -> None:
    model = agent(refine=quick(probability=1.0, noise=switch)).learn(60)
    model._last_obs = np.zeros((1, 3), np.float32)
    still = model._sample_action(0, None, 1)[1]
    noisy = model._sample_action(0, noise(), 1)[1]
    assert (not np.array_equal(still, noisy)) == moved


def test_several_environments() -> None:
    env = make_vec_env(REACH, n_envs=3, seed=0)
    model = agent(env=env, action_noise=noise(), refine=quick()).learn(120)
    assert 0 < model.refined < 80
    assert transitions(model)[1].shape[1:] == (3, 2)


def test_only_the_drawn_environments_are_refined() -> None:
    model = agent(env=make_vec_env(REACH, n_envs=6, seed=0), refine=quick()).learn(60)
    model.coins = np.random.default_rng(3)
    drawn = np.random.default_rng(3).random(6) < 0.5
    _, proposal = sb3.TD3._sample_action(model, 0, None, 6)
    _, action = model._sample_action(0, None, 6)
    assert drawn.any()
    assert not drawn.all()
    assert np.array_equal((action != proposal).any(1), drawn)


def test_normalised_observations() -> None:
    env = VecNormalize(make_vec_env(REACH, n_envs=2, seed=0))
    model = agent(env=env, refine=quick()).learn(100)
    assert model.refined > 0
    assert all(value.isfinite().all() for value in weights(model))


@pytest.mark.parametrize("choice", [{"critic": "mean"}, {"critic": "min"}, {"target": True}, {"closed_form": False}])
def test_choices_of_the_critic(choice: dict[str, Any]) -> None:
    model = agent(refine=quick(**choice)).learn(60)
    assert model.gained > 0


def test_learning_goes_on_where_it_was() -> None:
    model = agent(refine=quick(), action_noise=noise()).learn(60)
    model.learn(40, reset_num_timesteps=False)
    assert model.num_timesteps == 100
    assert len(transitions(model)[0]) == 100


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = agent(refine=quick(critic="mean"), action_noise=noise()).learn(60)
    model.save(tmp_path / "model.zip")
    again = TD3.load(tmp_path / "model.zip", env=make_env(REACH))
    assert same(weights(model), weights(again))
    assert again.refine == model.refine
    assert again.refined == model.refined
    assert again.coins.random() == model.coins.random()
    again.learn(40, reset_num_timesteps=False)
    assert again.refined > model.refined


def test_plain_td3_loads_a_refined_model_and_the_other_way_round(tmp_path: Path) -> None:
    model = agent(refine=quick()).learn(60)
    model.save(tmp_path / "refined.zip")
    plain = sb3.TD3.load(tmp_path / "refined.zip", env=make_env(REACH))
    seen = np.ones(3, np.float32)
    assert np.array_equal(plain.predict(seen)[0], model.predict(seen)[0])
    plain.learn(20, reset_num_timesteps=False)
    plain.save(tmp_path / "plain.zip")
    agent(sb3.TD3).learn(60).save(tmp_path / "never.zip")
    refined = TD3.load(tmp_path / "never.zip", env=make_env(REACH), refine=quick(), learning_starts=0)
    refined.learn(20, reset_num_timesteps=False)
    assert refined.refined > 0


def test_gain_and_share_are_reported() -> None:
    from stable_baselines3.common.logger import Logger

    class Kept(Logger):
        def __init__(self) -> None:
            super().__init__(None, [])
            self.noted: dict[str, list[float]] = {}

        def record_mean(self, key: str, value: Any, exclude: Any = None) -> None:
            self.noted.setdefault(key, []).append(value)

    model = agent(refine=quick())
    model.set_logger(Kept())
    model.learn(80)
    noted = model.logger.noted
    assert len(noted["refine/share"]) == 40
    assert len(noted["refine/gain"]) == model.refined
    assert sum(noted["refine/gain"]) == pytest.approx(model.gained)
    assert min(noted["refine/gain"]) >= 0


def test_a_discrete_action_space_is_refused() -> None:
    with pytest.raises(UsageError, match=r"has the actions Discrete\(2\); expected a bounded Box"):
        agent(env="CartPole-v1", refine=quick())


def test_a_critic_without_relu() -> None:
    smooth = {"net_arch": [8], "activation_fn": torch.nn.GELU}
    with pytest.raises(UsageError, match=r"the critic has no ReLU, found GELU, Linear.*'gd'"):
        agent(refine=quick(solver="adr"), policy_kwargs=smooth)
    agent(refine=quick(solver="graduated"), policy_kwargs=smooth)
    agent(refine=quick(solver="gd"), policy_kwargs=smooth).learn(50)


def test_a_critic_without_activations() -> None:
    with pytest.raises(UsageError, match=r"the critic has no activation with a gate, found"):
        agent(refine=quick(solver="graduated"), policy_kwargs={"activation_fn": torch.nn.Identity})


def test_a_critic_that_diverged_is_said() -> None:
    model = agent(refine=quick(probability=1.0)).learn(50)
    with torch.no_grad():
        model.critic.q_networks[0][0].bias.fill_(float("nan"))
    with pytest.raises(Exception, match="training has diverged"):
        model._sample_action(0, None, 1)
