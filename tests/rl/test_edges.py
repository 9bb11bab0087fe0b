"""Environments, spaces and critics of every kind: each works, or is one sentence before anything runs."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

gymnasium = pytest.importorskip("gymnasium", reason="needs the extra [rl]")
sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from adrgd import AdrgdWarning, UsageError
from adrgd.rl import (
    DDPG,
    TD3,
    Agent,
    Perturbation,
    RefineConfig,
    attack_policy,
    load_policy,
    refined_policy,
    siege,
    victim_of,
)
from adrgd.rl.agent import agent_of
from adrgd.rl.environments import play_all
from adrgd.rl.training import Training, train

from .worlds import REACH, agent, quick

VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)
ACTIONS = spaces.Box(-1.0, 1.0, (2,), np.float32)
FIXED = spaces.Box(np.array([0, -1], np.float32), np.array([0, 1], np.float32))
CANNOT_MOVE = "expected low < high, found both at 0 for action 0; leave it out"


class Blank(gymnasium.Env):  # type: ignore[misc]
    """Six steps of any observations and actions."""

    def __init__(self, observations: Any = VECTOR, actions: Any = ACTIONS) -> None:
        self.observation_space, self.action_space, self.t = observations, actions, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        assert self.action_space.contains(np.asarray(action, self.action_space.dtype))
        return self.observation_space.sample(), float(np.sum(action)), self.t == 6, False, {}


class Nested(Blank):
    """Observations by name."""

    def __init__(self) -> None:
        super().__init__(spaces.Dict(place=VECTOR, speed=VECTOR))


gymnasium.register("Nested-v0", entry_point=Nested)
gymnasium.register("Fixed-v0", entry_point=lambda: Blank(VECTOR, FIXED))


def _always(env: Any) -> Callable[[], Any]:
    return lambda: env


@pytest.fixture(scope="module")
def pusher() -> Agent:
    def act(seen: torch.Tensor) -> torch.Tensor:
        return (-5 * seen[:, :2]).tanh()

    low, high = np.array([-2.0, 0.0], np.float32), np.array([2.0, 0.5], np.float32)
    return Agent(act, lambda seen, action: -seen.square().sum(1) + action.sum(1), low, high)


WORLDS: dict[str, Callable[[], Any]] = {
    "an environment": lambda: gymnasium.make(REACH),
    "a function": lambda: lambda: gymnasium.make(REACH),
}

NO_WORLDS: dict[str, tuple[Callable[[], Any], str]] = {
    "many in one": (lambda: make_vec_env(REACH), "found DummyVecEnv"),
    "a number": (lambda: 3, "expected an environment of Gymnasium, its name, or a function that makes one, found int"),
    "a function of something else": (lambda: lambda: 3, "found int"),
    "always the same": (lambda: _always(gymnasium.make(REACH)), "found the same one"),
    "other actions": (lambda: "Pendulum-v1", r"and the environment Box(-2.0, 2.0, (1,), float32)"),
    "other bounds": (lambda: Blank, "the agent has actions between [-2.0, 0.0] and [2.0, 0.5]"),
    "an action that cannot move": (lambda: lambda: Blank(VECTOR, FIXED), CANNOT_MOVE),
    "choices": (lambda: lambda: Blank(VECTOR, spaces.MultiDiscrete([3, 4])), "has the actions MultiDiscrete([3 4])"),
}


@pytest.mark.parametrize("form", WORLDS)
def test_worlds_of_every_form(form: str, pusher: Agent) -> None:
    by_name = attack_policy(pusher, REACH, 0.5, solver="pgd", steps=3, episodes=2)
    given = WORLDS[form]()
    found = attack_policy(pusher, given, 0.5, solver="pgd", steps=3, episodes=2)
    assert [e.length for e in found.attacked] == [20, 20]
    np.testing.assert_allclose(found.rewards, by_name.rewards, rtol=1e-5)


@pytest.mark.parametrize("form", NO_WORLDS)
def test_what_is_no_world_for_the_agent(form: str, pusher: Agent) -> None:
    make, sentence = NO_WORLDS[form]
    with pytest.raises(UsageError) as refused:
        attack_policy(pusher, make(), 0.5, episodes=2)
    assert sentence in str(refused.value)


class Endless(Blank):
    """Its episodes never end."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()

    def step(self, action: Any) -> Any:
        return *super().step(action)[:2], False, False, {}


gymnasium.register("Endless-v0", entry_point=Endless)


def _rest(seen: Any, t: int = 0) -> Any:
    return np.zeros((len(seen), 2))


def test_episodes_without_an_end_are_cut(pusher: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a limit is given, as it says; otherwise late, and with a word about it."""
    steady = Agent(pusher.actor, pusher.critic, ACTIONS.low, ACTIONS.high)
    found = attack_policy(steady, Endless, 0.1, steps=2, episodes=2, limit=5)
    assert [one.length for one in (*found.attacked, *found.clean)] == [5] * 4
    with pytest.warns(AdrgdWarning, match="1 episode of Endless-v0 had not ended after 7 steps, and count with what"):
        assert play_all([gymnasium.make("Endless-v0")], _rest, [0], longest=7)[0].length == 7
    training = Training(
        env="Endless-v0", steps=10, evaluate_every=10, episodes=1, update_every=5, batch_size=4, net=(4,), limit=3
    )
    train(training, tmp_path / "run")
    assert pq.read_table(tmp_path / "run/evaluations.parquet")["length"].to_pylist() == [3]
    monkeypatch.setattr(siege, "LONGEST", 4)
    policy = agent(env="Endless-v0").policy
    for episodes, context in (
        (2, pytest.warns(AdrgdWarning, match="2 episodes of the environment had not ended after 4 steps")),
        (3, pytest.raises(UsageError, match="play as many episodes side by side")),
    ):
        world = siege.make_world("Endless-v0", 2)
        with context:
            victim, way = victim_of(policy, world.observation_space), Perturbation(eps=0, solver="none")
            played = siege.play_siege(victim, world, way, episodes=episodes)
            assert [one.length for one in played.episodes] == [4, 4]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"limit": 0}, "limit must be at least 1"),
        ({"episodes": 2.5}, "episodes must be a whole number"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"eps": float("nan")}, "eps must be finite"),
        ({"scale": np.ones(2)}, r"one for each coordinate of observations of shape \(3,\)"),
        ({"scale": np.zeros(3)}, "a scale of positive numbers"),
    ],
)
def test_settings_are_looked_at_first(settings: dict[str, Any], sentence: str, pusher: Agent) -> None:
    def never() -> Any:
        env = gymnasium.make(REACH)
        env.reset = lambda **options: pytest.fail("an episode has begun")
        return env

    with pytest.raises(UsageError, match=sentence):
        attack_policy(pusher, never, **({"eps": 0.5} | settings))


TRAINING = {"env": REACH, "steps": 100}
SETTINGS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no agent": (lambda agent: attack_policy(None, REACH, 0.1), "expected a model of TD3, DDPG or SAC, or an Agent"),
    "a class": (lambda agent: attack_policy(sb3.TD3, REACH, 0.1), "or an Agent, found <class"),
    "steps in words": (lambda agent: attack_policy(agent, REACH, 0.1, steps="a"), "steps must be a whole number"),  # type: ignore[arg-type]
    "a seed below zero": (lambda agent: attack_policy(agent, REACH, 0.1, seed=-1), "seed must lie between 0"),
    "a chance in words": (lambda agent: RefineConfig(probability="a"), "probability must be a finite number"),  # type: ignore[arg-type]
    "half a refinement": (lambda agent: RefineConfig(steps=2.5), "steps must be a whole number"),  # type: ignore[arg-type]
    "no solver": (lambda agent: RefineConfig(solver=None), "solver must be a solver such as"),  # type: ignore[arg-type]
    "yes in words": (lambda agent: RefineConfig(target="yes"), "target must be True or False"),  # type: ignore[arg-type]
    "no environment": (lambda agent: Training(env=None, steps=10), "expected the environment's name"),  # type: ignore[arg-type]
    "half a batch": (lambda agent: Training(**TRAINING, batch_size=2.5), "batch_size must be a whole number"),
    "noise without end": (lambda agent: Training(**TRAINING, noise=float("inf")), "noise must be a finite number"),
    "a seed too large": (lambda agent: Training(**TRAINING, seed=2**32), "seed must lie between"),
    "a size": (lambda agent: Training(**TRAINING, net=4), "net must be the sizes of hidden layers"),
    "a name for a refinement": (lambda agent: Training(**TRAINING, refine="graduated"), "a RefineConfig or None"),
    "nothing to refine": (lambda agent: refined_policy(None), "expected a model of TD3, DDPG or SAC, found None"),
    "no policy": (lambda agent: victim_of(None, VECTOR), "expected the policy of a model"),
    "no copies": (lambda agent: siege.make_world(REACH, 0), "count must be at least 1"),
    "no file": (lambda agent: load_policy(3), "expected the name of a file or folder"),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_of_other_types(case: str, pusher: Agent) -> None:
    make, sentence = SETTINGS[case]
    with pytest.raises(UsageError) as refused:
        make(pusher)
    assert sentence in str(refused.value)


def test_a_model_stands_for_its_policy() -> None:
    model = agent()
    assert victim_of(model, model.observation_space).act(torch.zeros(1, 3)).shape == (1, 2)


def test_eps_as_a_fraction(pusher: Agent) -> None:
    found, expected = (attack_policy(pusher, REACH, eps, steps=2, episodes=1) for eps in ("1/10", 0.1))
    assert found == expected


def test_normalised_observations_belong_to_the_agent() -> None:
    world = VecNormalize(make_vec_env(REACH, n_envs=2, seed=0), clip_obs=1.5)
    model = agent(env=world, refine=None)
    world.reset()
    for _ in range(5):
        world.step(np.ones((2, 2), np.float32))
    raw = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = model.predict(world.normalize_obs(raw), deterministic=True)[0]
    np.testing.assert_allclose(agent_of(model).act(raw), expected, atol=1e-5)


SPACES: dict[str, tuple[Any, Any, str]] = {
    "images": (spaces.Box(0, 255, (3, 36, 36), np.uint8), ACTIONS, "CnnPolicy"),
    "observations by name": (spaces.Dict(a=VECTOR, b=VECTOR), ACTIONS, "MultiInputPolicy"),
    "a table of observations": (spaces.Box(-1.0, 1.0, (3, 2), np.float32), ACTIONS, "MlpPolicy"),
    "numbered observations": (spaces.Discrete(4), ACTIONS, "MlpPolicy"),
    "doubles": (spaces.Box(-1.0, 1.0, (3,), np.float64), spaces.Box(-1.0, 1.0, (2,), np.float64), "MlpPolicy"),
    "a table of actions": (VECTOR, spaces.Box(-1.0, 1.0, (2, 2), np.float32), "MlpPolicy"),
}


@pytest.mark.parametrize("form", SPACES)
def test_spaces_of_every_form_are_refined(form: str) -> None:
    observations, actions, policy = SPACES[form]
    world = Blank(observations, actions)
    model = TD3(
        policy, world, refine=quick(probability=1.0, steps=2, noise=True), buffer_size=50, learning_starts=4, seed=0,
        device="cpu", policy_kwargs={"net_arch": [8]},
    ).learn(8)  # fmt: skip
    assert model.refined == 4
    refined = refined_policy(model, RefineConfig(steps=2)).predict(world.reset(seed=0)[0])[0]
    assert actions.contains(np.asarray(refined, actions.dtype))


@pytest.mark.parametrize("form", ["doubles", "a table of actions"])
def test_spaces_of_every_form_are_attacked(form: str) -> None:
    observations, actions, policy = SPACES[form]
    model = sb3.TD3(policy, Blank(observations, actions), buffer_size=10, device="cpu", policy_kwargs={"net_arch": [8]})
    result = attack_policy(model, lambda: Blank(observations, actions), 0.1, steps=2, episodes=1)
    assert [episode.length for episode in result.attacked] == [6]


@pytest.mark.parametrize("form", ["observations by name", "numbered observations"])
def test_observations_that_cannot_be_moved(form: str) -> None:
    observations, actions, policy = SPACES[form]
    model = sb3.TD3(policy, Blank(observations, actions), buffer_size=10, device="cpu")
    with pytest.raises(UsageError, match="cannot attack observations .*expected one vector"):
        attack_policy(model, lambda: Blank(observations, actions), 0.1, episodes=1)


def test_an_action_that_cannot_move() -> None:
    settings = {"buffer_size": 10, "device": "cpu"}
    with pytest.raises(UsageError, match=CANNOT_MOVE):
        TD3("MlpPolicy", Blank(VECTOR, FIXED), refine=quick(), **settings)
    plain = sb3.TD3("MlpPolicy", Blank(VECTOR, FIXED), **settings)
    with pytest.raises(UsageError, match=CANNOT_MOVE):
        refined_policy(plain)
    with pytest.raises(UsageError, match=CANNOT_MOVE):
        attack_policy(plain, lambda: Blank(VECTOR, FIXED), 0.1)


@pytest.mark.parametrize("refined", [None, quick()], ids=["plain", "refined"])
@pytest.mark.parametrize("algorithm", [TD3, DDPG])
@pytest.mark.parametrize(
    "actions",
    [spaces.MultiDiscrete([3, 4]), spaces.Discrete(3), spaces.MultiBinary(2), spaces.Box(-np.inf, np.inf, (2,))],
    ids=["several choices", "one choice", "bits", "no bounds"],
)
def test_actions_that_cannot_be_learnt(actions: Any, algorithm: Any, refined: Any) -> None:
    with pytest.raises(UsageError, match="the environment has the actions .* expected a bounded Box"):
        algorithm("MlpPolicy", Blank(VECTOR, actions), refine=refined, buffer_size=10, device="cpu")


def test_choices_are_not_refined() -> None:
    model = sb3.PPO("MlpPolicy", Blank(VECTOR, spaces.MultiDiscrete([3, 4])), n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(UsageError, match=r"has the actions MultiDiscrete\(\[3 4\]\); expected a bounded Box"):
        refined_policy(model)
    with pytest.raises(UsageError, match=r"cannot attack PPO with actions MultiDiscrete"):
        attack_policy(model, Blank, 0.1)


@pytest.mark.filterwarnings("ignore:.*maximum and minimum values are equal")  # Gymnasium's own
@pytest.mark.parametrize(
    ("env", "sentence"), [("Nested-v0", "FlattenObservation"), ("Fixed-v0", CANNOT_MOVE)], ids=["by name", "fixed"]
)
def test_training_refuses_before_it_writes(env: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        train(Training(env=env, steps=100), tmp_path / "run")
    assert not (tmp_path / "run").exists()


ACTIVATIONS = [torch.nn.SiLU, torch.nn.ELU, torch.nn.GELU, torch.nn.Tanh, torch.nn.Softplus, torch.nn.LeakyReLU]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_critics_of_any_activation_are_refined(activation: Any) -> None:
    """No solver of ours leaves a smooth critic to plain steps without a word: the refined actions are better in it."""
    chosen = {"net_arch": [16, 16], "activation_fn": activation}
    model = agent(refine=quick(solver="graduated", probability=1.0), policy_kwargs=chosen).learn(60)
    assert model.refined == 20
    assert model.gained > 0
