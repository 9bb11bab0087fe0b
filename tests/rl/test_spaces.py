"""Policies of every kind of observation and action are attacked: numbers, images, dictionaries, several actions."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)
from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from adrgd.errors import UsageError
from adrgd.rl.perturb import Perturbation
from adrgd.rl.siege import make_world, play_siege
from adrgd.rl.victim import Victim, frames_of, victim_of

NUMBERS = spaces.Box(-1, 1, (5,), np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 1), np.uint8)
SEEN: dict[str, spaces.Space[Any]] = {
    "numbers": NUMBERS, "a table": spaces.Box(-1, 1, (3, 4), np.float32), "an image": IMAGE,
    "doubles": spaces.Box(-1, 1, (4,), np.float64),
    "some without bounds": spaces.Box(np.array([-1, -np.inf], np.float32), np.array([np.inf, 2], np.float32)),
    "a dictionary": spaces.Dict(a=NUMBERS, b=IMAGE, c=spaces.Discrete(4), d=spaces.MultiBinary(3)),
}  # fmt: skip
ACTIONS: dict[str, spaces.Space[Any]] = {
    "one of several": spaces.Discrete(3, start=2), "some of several": spaces.MultiDiscrete([2, 3], start=[1, 0]),
    "yes or no": spaces.MultiBinary(3), "numbers": spaces.Box(-2, 2, (2,), np.float32),
}  # fmt: skip


class Toy(gymnasium.Env[Any, Any]):
    """Shows anything, takes only actions of its space, and ends after four steps."""

    def __init__(self, seen: str, actions: str) -> None:
        self.observation_space, self.action_space = SEEN[seen], ACTIONS[actions]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.time = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        self.time += 1
        return self.observation_space.sample(), 1.0, self.time == 4, False, {}


for one in SEEN:
    for other in ACTIONS:
        gymnasium.register(f"{one} {other}-v0".replace(" ", "_"), entry_point=lambda a=one, b=other: Toy(a, b))

PAIRS = [(seen, "one of several") for seen in SEEN] + [("a dictionary", actions) for actions in ACTIONS]


def policy_of(seen: str, actions: str) -> Any:
    kind = "MultiInputPolicy" if seen == "a dictionary" else "CnnPolicy" if seen == "an image" else "MlpPolicy"
    small = {"features_extractor_kwargs": {"cnn_output_dim": 8}} if seen == "a dictionary" else {}
    policy = {"net_arch": [16]} | small
    return sb3.PPO(
        kind, Toy(seen, actions), n_steps=8, batch_size=8, seed=0, device="cpu", policy_kwargs=policy
    ).policy  # fmt: skip


@pytest.mark.parametrize("goal", ["paper", "margin", "worst"])
@pytest.mark.parametrize(("seen", "actions"), PAIRS)
def test_what_is_shown_stays_in_its_ball_and_misleads(seen: str, actions: str, goal: Any) -> None:
    if actions == "numbers" and goal != "paper":
        pytest.skip("the policy has no critic, and takes no one of several actions")
    world = make_world(f"{seen} {actions}-v0".replace(" ", "_"), 3, seed=1)
    victim = victim_of(policy_of(seen, actions), world.observation_space)
    given = victim.packing.pack(world.reset())
    clean = torch.as_tensor(given, dtype=torch.float32)
    shown = Perturbation(eps=0.05, solver="graduated", goal=goal, steps=4).perturb(victim, given, np.arange(3), 0).x
    low, high = victim.packing.bounds(clean)
    reach = 0.05 * victim.packing.unit * victim.packing.free
    assert ((shown - clean).abs() <= reach * (1 + 1e-5) + 1e-6).all()
    assert ((shown >= low) & (shown <= high)).all()
    before, after = victim.outputs(clean), victim.outputs(shown)
    assert (before != after).any(1).all()
    if victim.groups and goal != "margin":
        worst = goal == "worst"
        aims = [one.argmin(1) if worst else one.argmax(1) for one in victim.of_groups(before)]
        change = joint(victim, after, aims) - joint(victim, before, aims)
        assert ((change > 0) if worst else (change < 0)).all()


def joint(victim: Victim, outputs: Tensor, actions: list[Tensor]) -> Tensor:
    """The log-probability of actions that are taken together."""
    each = [one.log_softmax(1) for one in victim.of_groups(outputs)]
    return torch.stack([one.gather(1, action[:, None])[:, 0] for one, action in zip(each, actions, strict=True)]).sum(0)


@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize(("seen", "actions"), PAIRS)
def test_episodes_are_played_with_actions_of_the_space(seen: str, actions: str, sample: bool) -> None:
    if sample and actions == "numbers":
        pytest.skip("continuous actions are not drawn")
    world = make_world(f"{seen} {actions}-v0".replace(" ", "_"), 2, seed=1)
    victim = victim_of(policy_of(seen, actions), world.observation_space)
    siege = play_siege(victim, world, Perturbation(eps=0.1, solver="fgsm", steps=1), episodes=3, sample=sample)
    assert [one.length for one in siege.episodes] == [4, 4, 4]


@pytest.mark.parametrize("keys", [["a"], ["a", "b"]])
def test_a_dictionary_is_normalised_as_in_training(keys: list[str]) -> None:
    space = spaces.Dict(a=NUMBERS, b=spaces.Box(0, 9, (2,), np.float32))
    SEEN["two"] = space
    own = DummyVecEnv([lambda: Toy("two", "one of several")])
    normalise = VecNormalize(own, norm_obs_keys=keys)
    normalise.reset()
    for _ in range(3):
        normalise.step(np.array([3]))
    policy = sb3.PPO("MultiInputPolicy", normalise, n_steps=8, batch_size=8, device="cpu", seed=0).policy
    victim = victim_of(policy, space, normalise=normalise)
    raw = {key: np.stack([part.sample() for _ in range(4)]) for key, part in space.items()}
    with torch.no_grad():
        found = victim.outputs(torch.as_tensor(victim.packing.pack(raw)))
        tensors = {key: torch.as_tensor(part) for key, part in normalise.normalize_obs(raw).items()}
        wanted = policy.get_distribution(tensors).distribution.logits
    torch.testing.assert_close(found.log_softmax(1), wanted)


def test_frames_of_a_dictionary_are_counted() -> None:
    single = spaces.Dict(a=NUMBERS, b=IMAGE)
    stacked = spaces.Dict(a=spaces.Box(-1, 1, (15,), np.float32), b=spaces.Box(0, 255, (3, 36, 36), np.uint8))
    policy = type("Policy", (), {"observation_space": stacked})()
    assert frames_of(policy, single) == 3


@pytest.mark.parametrize(
    "space", [spaces.Discrete(7), spaces.MultiBinary(3), spaces.Dict(a=spaces.Discrete(3)), spaces.Text(3)]
)
def test_what_no_small_change_can_move_is_refused(space: Any) -> None:
    policy = policy_of("numbers", "one of several")
    with pytest.raises(UsageError, match="expected a Box, that is numbers or an image, or a Dict with one"):
        victim_of(policy, space)


def test_the_ensemble_takes_one_action_of_several() -> None:
    world = make_world("a_dictionary_some_of_several-v0", 1, seed=1)
    victim = victim_of(policy_of("a dictionary", "some of several"), world.observation_space)
    with pytest.raises(UsageError, match="needs one of several actions, found several at once"):
        play_siege(victim, world, Perturbation(eps=0.1, solver=lambda *_: None), episodes=1)  # type: ignore[arg-type,return-value]
