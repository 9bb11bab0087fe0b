"""Attacks on policies: what an agent is shown stays in its ball, and misleads it."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.errors import UsageError
from adrgd.rl import Agent, ObservationAttack, attack_policy
from adrgd.rl.agent import agent_of

from .worlds import REACH, agent

SOLVERS = ("noise", "fgsm", "pgd", "adr", "graduated")
pytestmark = pytest.mark.filterwarnings("ignore:.*have no gate")  # adr leaves out the actor's tanh, and says so


@pytest.fixture
def steady() -> Agent:
    """Pushes the point towards the origin; its critic knows the distance after the push."""

    def push(scaled: Tensor) -> Tensor:
        first, second = 2 * scaled[:, 0], scaled[:, 1]
        return torch.stack([first, second, -first], 1)

    return Agent(
        actor=lambda seen: (-torch.stack([5 * seen[:, 0] - 5 * seen[:, 2], 10 * seen[:, 1]], 1).relu() + torch.stack(
            [-5 * seen[:, 0] + 5 * seen[:, 2], -10 * seen[:, 1]], 1).relu()).tanh(),
        critic=lambda seen, action: -(seen + 0.1 * push(action)).square().sum(1),
        low=np.array([-2.0, 0.0], np.float32), high=np.array([2.0, 0.5], np.float32),
    )  # fmt: skip


@pytest.mark.parametrize("loss", ["critic", "action"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_perturbations_stay_in_their_ball(steady: Agent, solver: str, loss: Any) -> None:
    seen = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    scale = np.array([1.0, 0.5, 2.0])
    attack = ObservationAttack(eps=0.3, solver=solver, loss=loss, steps=6, scale=scale)
    shown = attack.perturb(steady, seen, 4)
    assert shown.dtype == np.float32
    assert (np.abs(shown.astype(float) - seen) <= 0.3 * scale + 1e-6).all()
    assert (shown != seen).any()
    assert np.array_equal(attack.perturb(steady, seen, 4), shown)


@pytest.mark.parametrize("solver", ["fgsm", "pgd", "adr", "graduated"])
def test_the_value_of_the_chosen_action_falls(steady: Agent, solver: str) -> None:
    seen = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    shown = ObservationAttack(eps=0.3, solver=solver, steps=20).perturb(steady, seen, 0)
    assert steady.critic is not None
    clean, fooled = (steady.critic(torch.tensor(seen), steady.actor(torch.tensor(x))) for x in (seen, shown))
    assert (fooled <= clean + 1e-6).all()
    assert fooled.mean() < clean.mean() - 0.01


@pytest.mark.parametrize("solver", SOLVERS)
def test_rewards_with_and_without(steady: Agent, solver: str) -> None:
    result = attack_policy(steady, REACH, 0.5, solver=solver, steps=5, episodes=3)
    clean, attacked = result.rewards
    assert len(result.clean) == len(result.attacked) == 3
    assert attacked < clean if solver != "noise" else attacked != clean


def test_no_size_is_no_attack(steady: Agent) -> None:
    result = attack_policy(steady, REACH, 0.0, episodes=2)
    assert result.clean == result.attacked


@pytest.mark.parametrize("algorithm", [sb3.TD3, sb3.DDPG, sb3.SAC])
def test_models_of_stable_baselines3(algorithm: Any) -> None:
    model = agent(algorithm).learn(50)
    acting = agent_of(model)
    seen = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(acting.act(seen), model.predict(seen, deterministic=True)[0], atol=1e-5)
    assert attack_policy(model, REACH, 0.2, steps=3, episodes=1, loss="action").attacked[0].length == 20


def test_what_is_refused(steady: Agent) -> None:
    with pytest.raises(UsageError, match="eps must be finite and not negative"):
        ObservationAttack(eps=-1)
    with pytest.raises(UsageError, match="unknown loss 'value'"):
        ObservationAttack(eps=1, loss="value")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown solver 'magic'"):
        ObservationAttack(eps=1, solver="magic")
    with pytest.raises(UsageError, match="cannot attack DQN"):
        attack_policy(sb3.DQN("MlpPolicy", "CartPole-v1", buffer_size=10), "CartPole-v1", 0.1)
    blind = Agent(steady.actor, None, steady.low, steady.high)
    with pytest.raises(UsageError, match="needs an agent with a critic"):
        attack_policy(blind, REACH, 0.1, episodes=1)
    assert attack_policy(blind, REACH, 0.1, loss="action", steps=2, episodes=1)
