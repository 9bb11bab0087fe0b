"""The games of Procgen, where they are installed: see constraints-procgen.txt."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.errors import UsageError
from adrgd.rl.impala import Impala
from adrgd.rl.load import impala_arguments, impala_policy, load_policy, save_policy
from adrgd.rl.perturb import Perturbation
from adrgd.rl.procgen import GAMES, Procgen, procgen_of
from adrgd.rl.siege import make_world, play_siege
from adrgd.rl.victim import victim_of

CHANNELS = (4, 4, 4)


@pytest.fixture
def procgen() -> None:
    """The games, or a reason why not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gym, which they need, is deprecated
        pytest.importorskip("procgen", reason="needs the extra [procgen]")


def test_impala_has_the_published_size() -> None:
    policy = impala_policy((3, 64, 64), 15, (16, 32, 32))
    assert isinstance(policy.features_extractor, Impala)
    count = sum(value.numel() for value in policy.parameters())
    assert count == 626_256  # 15 convolutions and three linear layers
    halved = impala_policy((3, 64, 64), 15, (16, 32, 32), stride=2)
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    assert halved.predict_values(images).shape == policy.predict_values(images).shape == (2, 1)


def test_weights_come_back_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    policy = impala_policy((3, 64, 64), 15, CHANNELS)
    save_policy(policy, tmp_path / "policy.safetensors", {"game": "fruitbot"})
    again = load_policy(tmp_path / "policy.safetensors")
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(again.predict_values(images), policy.predict_values(images), atol=2e-3, rtol=0)
    assert impala_arguments(CHANNELS)["features_extractor_kwargs"] == policy.features_extractor_kwargs


@pytest.mark.parametrize(("spec", "sentence"), [
    ("procgen:fruit", "unknown game 'fruit' of Procgen; expected one of bigfish"),
    ("procgen:fruitbot?level=3", "found 'level'"),
    ("procgen:fruitbot?start=x", "expected a number as start"),
    ("procgen:fruitbot?mode=odd", "unknown mode 'odd'"),
])  # fmt: skip
def test_specs_that_are_refused(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        procgen_of(spec, 1)


@pytest.mark.usefixtures("procgen")
@pytest.mark.parametrize("game", ["fruitbot", "coinrun"])
def test_the_same_seed_gives_the_same_game(game: str) -> None:
    assert game in GAMES
    first, second = (Procgen(game, 3) for _ in range(2))
    seen = first.reset(seed=5)[0].copy()
    assert np.array_equal(second.reset(seed=5)[0], seen)
    assert seen.shape == (3, 64, 64, 3)
    assert seen.dtype == np.uint8
    for action in (7, 1, 4):
        moved = [env.step(np.full(3, action)) for env in (first, second)]
        assert np.array_equal(moved[0][0], moved[1][0])
        assert np.array_equal(moved[0][1], moved[1][1])
    assert not np.array_equal(first.reset(seed=6)[0], seen)
    held_out = procgen_of(f"procgen:{game}?start=200&levels=0", 3)
    assert not np.array_equal(held_out.reset(seed=5)[0], seen)


@pytest.mark.usefixtures("procgen")
def test_an_attacked_game() -> None:
    torch.manual_seed(0)
    policy = impala_policy((3, 64, 64), 15, CHANNELS)
    lengths = []
    for solver in ("none", "pgd"):
        world = make_world("procgen:fruitbot", 2, seed=1)
        way = Perturbation(eps="3/255", solver=solver, steps=1)  # type: ignore[arg-type]
        siege = play_siege(victim_of(policy, world.observation_space), world, way, episodes=2, seed=1, sample=True)
        lengths.append(siege.frames)
        assert len(siege.episodes) == 2
        assert siege.frames == sum(one.length for one in siege.episodes)
    assert min(lengths) > 2
