"""Every observation of an episode perturbed: what is shown stays in its ball, and misleads any kind of policy."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from adrgd.errors import ModelError, UsageError
from adrgd.objective import cross_entropy
from adrgd.rl.load import load_normalisation, load_policy
from adrgd.rl.perturb import Perturbation
from adrgd.rl.siege import interval, make_world, play_siege
from adrgd.rl.victim import Victim, frames_of, victim_of
from adrgd.solvers import SOLVERS

from .worlds import REACH, agent

GLANCE = "Glance-v0"
SMALL = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "device": "cpu", "seed": 0}
LINE: dict[str, Any] = {"net_arch": [16]}


class Glance(gymnasium.Env[NDArray[Any], int]):
    """Say on which side of the picture the light is: one point for each right answer."""

    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self._picture(), {}

    def step(self, action: Any) -> Any:
        gained = float(int(action) == self.side)
        return self._picture(), gained, False, False, {}

    def _picture(self) -> NDArray[Any]:
        self.side = int(self.np_random.integers(2))
        picture = self.np_random.integers(100, 110, (36, 36, 1)).astype(np.uint8)
        picture[:, 18 * self.side : 18 * (self.side + 1)] += np.uint8(20)
        return picture


gymnasium.register(GLANCE, entry_point=Glance, max_episode_steps=12)


@pytest.fixture(scope="module")
def glancing() -> Any:
    """Knows where the light is, from an image network whose last layers were solved for."""
    model = sb3.PPO("CnnPolicy", Glance(), policy_kwargs={"net_arch": []}, **SMALL)
    policy, env = model.policy, Glance()
    seen = [env.reset(seed=0)[0]] + [env.step(0)[0] for _ in range(63)]
    env = Glance()
    env.reset(seed=0)
    sides = [env.side] + [env.step(0) and env.side for _ in range(63)]
    with torch.no_grad():
        images = torch.tensor(np.array(seen)).permute(0, 3, 1, 2)
        features = policy.extract_features(images, policy.features_extractor)
        wanted = 2.0 * torch.tensor(sides) - 1
        ridge = features.T @ features + 1e-3 * torch.eye(features.shape[1])
        weight = torch.linalg.solve(ridge, features.T @ wanted)
        policy.action_net.weight.copy_(torch.stack([-weight, weight]))
        policy.action_net.bias.zero_()
    return policy


def world_of(name: str, policy: Any, count: int = 4, **more: Any) -> tuple[Any, Victim]:
    world = make_world(name, count, **more)
    return world, victim_of(policy, world.observation_space)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("goal", ["paper", "margin", "worst"])
@pytest.mark.parametrize("solver", ["noise", "fgsm", "pgd", "graduated"])
def test_images_stay_in_their_ball_in_grey_levels(glancing: Any, solver: str, goal: Any, whole: bool) -> None:
    world, victim = world_of(GLANCE, glancing)
    seen = world.reset()
    seen[0, :3], seen[0, 3:6] = 0, 255
    shown, _ = Perturbation(eps="3/255", solver=solver, goal=goal, steps=3, whole=whole).perturb(  # type: ignore[arg-type]
        victim, seen, np.arange(4), 0
    )
    assert shown.dtype == torch.float32
    assert (shown != torch.tensor(seen)).any()
    assert (shown - torch.tensor(seen).float()).abs().max() <= 3 + 1e-4
    assert shown.min() >= 0
    assert shown.max() <= 255
    if whole:
        assert torch.equal(shown, shown.round())


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in ("gd", "perturbed-gd")])
def test_the_chosen_action_becomes_less_likely(glancing: Any, solver: str) -> None:
    world, victim = world_of(GLANCE, glancing)
    seen = world.reset()
    clean = torch.tensor(seen).float()
    shown, passes = Perturbation(eps="8/255", solver=solver, steps=10).perturb(victim, seen, np.arange(4), 0)  # type: ignore[arg-type]
    before, after = victim.outputs(clean), victim.outputs(shown)
    action = before.argmax(1)
    assert (cross_entropy(after, action) >= cross_entropy(before, action)).all()
    assert cross_entropy(after, action).mean() > cross_entropy(before, action).mean()
    assert (passes >= 3).all()


def test_rewards_fall(glancing: Any) -> None:
    found = {}
    for solver in ("none", "noise", "pgd", "graduated"):
        world, victim = world_of(GLANCE, glancing, seed=3)
        way = Perturbation(eps="16/255", solver=solver, steps=5)  # type: ignore[arg-type]
        siege = play_siege(victim, world, way, episodes=6, seed=3)
        assert [one.length for one in siege.episodes] == [12] * 6
        assert siege.frames == 72
        found[solver] = np.mean([one.reward for one in siege.episodes])
    assert found["none"] == 12
    assert found["noise"] > 9
    assert found["pgd"] < 3
    assert found["graduated"] < 3


def test_the_same_seed_gives_the_same_episodes_and_each_environment_its_share(glancing: Any) -> None:
    way = Perturbation(eps=2 / 255, solver="noise")
    lone = [play_siege(*world_of(GLANCE, glancing, seed=1)[::-1], way, episodes=4, seed=1) for _ in range(2)]
    assert lone[0] == lone[1]
    more = play_siege(*world_of(GLANCE, glancing, seed=1)[::-1], way, episodes=6, seed=1, sample=True)
    assert len(more.episodes) == 6


def test_a_limit_of_steps(glancing: Any) -> None:
    world, victim = world_of(GLANCE, glancing)
    siege = play_siege(victim, world, Perturbation(eps=0, solver="none"), episodes=4, limit=5)
    assert [(one.length, one.reward) for one in siege.episodes] == [(5, 5.0)] * 4
    with pytest.raises(UsageError, match="5 episodes in 4 environments"):
        play_siege(victim, world, Perturbation(eps=0, solver="none"), episodes=5, limit=5)


def test_rows_do_not_depend_on_those_beside_them(glancing: Any) -> None:
    world, victim = world_of(GLANCE, glancing)
    seen = world.reset()
    for solver in ("noise", "graduated"):
        way = Perturbation(eps=3 / 255, solver=solver, steps=3)
        all_four = way.perturb(victim, seen, np.arange(4), 7).x
        alone = way.perturb(victim, seen[2:3], np.array([2]), 7).x
        np.testing.assert_allclose(alone[0], all_four[2], atol=1e-3)


@pytest.mark.parametrize("frames", [1, 3])
def test_frames_that_are_stacked(frames: int) -> None:
    stacked = VecFrameStack(DummyVecEnv([Glance]), frames)
    model = sb3.PPO("CnnPolicy", stacked, **SMALL)
    single = make_world(GLANCE, 1)
    assert frames_of(model.policy, single.observation_space) == frames
    world = make_world(GLANCE, 2, frames=frames)
    victim = victim_of(model.policy, world.observation_space)
    seen = world.reset()
    shown = Perturbation(eps=3 / 255, solver="pgd", steps=2).perturb(victim, seen, np.arange(2), 0).x
    assert shown.shape == (2, 36, 36, frames)
    np.testing.assert_array_equal(victim.act(torch.tensor(seen).float()), model.predict(seen, deterministic=True)[0])


@pytest.mark.parametrize("frames", [1, 2])
def test_observations_that_are_normalised(frames: int, tmp_path: Path) -> None:
    """The ball is around what the environment gives, before its normalisation."""
    inner = VecNormalize(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]))
    model = sb3.A2C("MlpPolicy", VecFrameStack(inner, frames), policy_kwargs=dict(LINE), device="cpu", seed=0).learn(
        200
    )
    inner.save(str(tmp_path / "normalise.pkl"))
    model.save(tmp_path / "model.zip")
    policy = load_policy(tmp_path / "model.zip", trust=True)
    world = make_world("CartPole-v1", 2, frames=frames)
    normalise = load_normalisation(tmp_path / "normalise.pkl", trust=True)
    victim = victim_of(policy, world.observation_space, normalise=normalise)
    raw = np.asarray(world.reset())
    own = np.concatenate([inner.normalize_obs(part) for part in np.split(raw, frames, 1)], 1)
    np.testing.assert_array_equal(victim.act(torch.tensor(raw)), model.predict(own, deterministic=True)[0])
    shown = Perturbation(eps=0.01, solver="pgd", steps=3).perturb(victim, raw, np.arange(2), 0).x
    assert 0 < (shown - torch.tensor(raw)).abs().max() <= 0.01 + 1e-6


@pytest.mark.parametrize(("algorithm", "name", "more"), [
    ("PPO", "CartPole-v1", SMALL), ("A2C", "Pendulum-v1", {}), ("DQN", "CartPole-v1", {"buffer_size": 10}),
    ("TD3", REACH, {"buffer_size": 10}), ("SAC", REACH, {"buffer_size": 10}), ("DDPG", REACH, {"buffer_size": 10}),
])  # fmt: skip
def test_every_kind_of_model_from_its_file(algorithm: str, name: str, more: Any, tmp_path: Path) -> None:
    model = getattr(sb3, algorithm)("MlpPolicy", name, policy_kwargs=dict(LINE), **{"device": "cpu", "seed": 0} | more)
    model.save(tmp_path / "model.zip")
    with pytest.raises(UsageError, match="can run any code.*add --trust"):
        load_policy(tmp_path / "model.zip")
    world, victim = world_of(name, load_policy(tmp_path / "model.zip", trust=True), 2)
    seen = np.asarray(world.reset())
    np.testing.assert_allclose(
        victim.act(torch.tensor(seen)), model.predict(seen, deterministic=True)[0], atol=1e-5
    )  # fmt: skip
    shown = Perturbation(eps=0.1, solver="graduated", steps=3).perturb(victim, seen, np.arange(2), 0).x
    assert 0 < (shown - torch.tensor(seen)).abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize("algorithm", [sb3.TD3, sb3.SAC])
def test_the_critic_is_lowered(algorithm: Any) -> None:
    policy = agent(algorithm).learn(50).policy
    world, victim = world_of(REACH, policy, 3)
    seen = np.asarray(world.reset())
    shown = Perturbation(eps=0.5, solver="pgd", goal="worst", steps=10).perturb(victim, seen, np.arange(3), 0).x
    clean = torch.tensor(seen)
    assert victim.critic is not None
    with torch.no_grad():
        before, after = (victim.critic(clean, victim.outputs(x)) for x in (clean, shown))
    assert (after <= before + 1e-6).all()
    assert after.sum() < before.sum()


def test_what_is_refused(glancing: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a finite eps >= 0"):
        Perturbation(eps=-1.0, solver="pgd")
    with pytest.raises(UsageError, match="unknown goal 'value'"):
        Perturbation(eps=1.0, solver="pgd", goal="value")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the environment gives"):
        victim_of(glancing, spaces.Box(0, 255, (20, 20, 1), np.uint8))
    many = sb3.PPO("MlpPolicy", _Many(), **SMALL)
    with pytest.raises(UsageError, match="the environment gives"):
        victim_of(many.policy, spaces.Dict(a=many.observation_space))
    quick = {"buffer_size": 10, "device": "cpu"}
    values = sb3.DQN("MlpPolicy", "CartPole-v1", **quick).policy
    world, victim = world_of("CartPole-v1", values, 1)
    with pytest.raises(UsageError, match="leave --sample out"):
        play_siege(victim, world, Perturbation(eps=0.1, solver="none"), episodes=1, sample=True)
    moves = sb3.PPO("MlpPolicy", REACH, **SMALL).policy
    world, victim = world_of(REACH, moves, 1)
    for goal, sentence in (("margin", "needs one of several actions"), ("worst", "needs a critic")):
        with pytest.raises(UsageError, match=sentence):
            play_siege(victim, world, Perturbation(eps=0.1, solver="pgd", goal=goal), episodes=1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot make the environment 'Nowhere-v0'"):
        make_world("Nowhere-v0", 1)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read as a policy"):
        load_policy(tmp_path / "bad.safetensors")
    (tmp_path / "bad.zip").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read as a model"):
        load_policy(tmp_path / "bad.zip", trust=True)
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(ModelError, match="cannot be read as a VecNormalize"):
        load_normalisation(tmp_path / "bad.pkl", trust=True)


def test_interval() -> None:
    low, high = interval(np.array([1.0, 3.0] * 50))
    assert low == pytest.approx(2 - 1.96 * 1.00504 / 10, abs=1e-4)
    assert high == pytest.approx(4 - low)


class _Many(Glance):
    """With two answers at once."""

    action_space = spaces.MultiDiscrete([2, 2])  # type: ignore[assignment]
    observation_space = spaces.Box(0.0, 1.0, (3,), np.float32)
