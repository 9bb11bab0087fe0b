"""Refining a trained agent."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.save_util import load_from_zip_file

from adrgd.errors import UsageError
from adrgd.rl import RefineConfig, refined_policy
from adrgd.rl.environments import make_env
from adrgd.rl.refine import refine

from .worlds import REACH, agent


@pytest.mark.filterwarnings("ignore:Evaluation environment is not wrapped")
@pytest.mark.parametrize("algorithm", [sb3.TD3, sb3.DDPG, sb3.SAC])
@pytest.mark.parametrize("solver", ["graduated", "adr", "gd"])
def test_any_model_with_critics_of_actions(algorithm: Any, solver: str) -> None:
    model = agent(algorithm).learn(50)
    policy = refined_policy(model, RefineConfig(solver=solver, steps=10, critic="min"))
    seen = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    plain, refined = model.predict(seen, deterministic=True)[0], policy.predict(seen)[0]
    assert (refined >= model.action_space.low).all()
    assert (refined <= model.action_space.high).all()

    def value(actions: Any) -> Any:
        scaled = torch.tensor(model.policy.scale_action(actions))
        with torch.no_grad():
            return torch.cat(model.critic(torch.tensor(seen), scaled), 1).amin(1)

    assert (value(refined) >= value(plain) - 1e-6).all()
    assert value(refined).sum() > value(plain).sum()
    reward, _ = evaluate_policy(policy, model.get_env(), n_eval_episodes=1)
    assert np.isfinite(reward)


def test_one_observation_or_several() -> None:
    policy = refined_policy(agent(), RefineConfig(steps=5))
    seen = np.ones((2, 3), np.float32)
    one, both = policy.predict(seen[0])[0], policy.predict(seen)[0]
    assert one.shape == (2,)
    assert both.shape == (2, 2)
    np.testing.assert_allclose(both[0], one, atol=1e-6)


def test_what_cannot_be_refined() -> None:
    with pytest.raises(UsageError, match=r"has the actions Discrete\(2\); expected a bounded Box"):
        refined_policy(sb3.DQN("MlpPolicy", "CartPole-v1", buffer_size=10))
    with pytest.raises(UsageError, match="PPO has no critic of states and actions"):
        refined_policy(sb3.PPO("MlpPolicy", REACH, n_steps=8, batch_size=8, device="cpu"))


def test_a_published_agent(assets: Path) -> None:
    """A SAC agent that somebody else trained on HalfCheetah: refined actions gain in both critics' minimum."""
    file = assets / "rl" / "sac-HalfCheetah-v3.zip"
    if not file.exists():
        pytest.skip("the published agent is missing")
    pytest.importorskip("mujoco", reason="needs MuJoCo")
    model = sb3.SAC("MlpPolicy", make_env("HalfCheetah-v5"), buffer_size=1, device="cpu")
    _, parameters, _ = load_from_zip_file(file, device="cpu", load_data=False)
    model.policy.load_state_dict(parameters["policy"])
    seen = np.stack([model.observation_space.sample() for _ in range(4)]).astype(np.float32)
    refined = refine(model, seen, model.predict(seen, deterministic=True)[0], RefineConfig(critic="min", steps=50))
    assert (refined.gain > 0).all()
