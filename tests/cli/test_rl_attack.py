"""`adrgd rl attack` as a person or a script meets it."""

# ruff: noqa: E402  (what needs the extra is imported once it is known to be there)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.cli import run

POLE = "Pole-v0"
gymnasium.register(POLE, entry_point="gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=60)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent that pushes the cart to where the pole falls."""
    file = tmp_path_factory.mktemp("policy") / "model.zip"
    arguments = {"net_arch": [2], "activation_fn": nn.ReLU}
    model = sb3.PPO("MlpPolicy", POLE, n_steps=8, batch_size=8, policy_kwargs=arguments, device="cpu", seed=0)
    fall = torch.tensor([0.1, 0.3, 1.0, 0.6])
    with torch.no_grad():
        model.policy.mlp_extractor.policy_net[0].weight.copy_(torch.stack([fall, -fall]))
        model.policy.action_net.weight.copy_(torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))
    model.save(file)
    return file


def words(policy: Path, *more: str) -> list[str]:
    base = ["rl", "attack", "--policy", str(policy), "--env", POLE, "--trust", "--episodes", "4"]
    return [*base, "--budget", "6", *more]


def test_the_agent_alone_under_noise_and_under_attack(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run(words(policy, "--eps", "1/5", "--out", str(out), "--json")) == 0
    summary: Any = json.loads(capsys.readouterr().out)
    assert summary["config"]["eps"] == 0.2
    assert list(summary["found"]) == ["graduated", "none", "noise"]
    for one in summary["found"].values():
        low, high = one["interval_95"]
        assert low <= one["reward"] <= high
        assert one["episodes"] == 4
    assert 0 < summary["found"]["graduated"]["passes"] <= 6
    assert summary["found"]["none"]["passes"] == 0
    assert summary["found"]["none"]["reward"] == 60
    assert summary["found"]["graduated"]["reward"] < summary["found"]["none"]["reward"]
    assert len(pq.read_table(out / "episodes.parquet")) == 12
    assert json.loads((out / "summary.json").read_text())["found"] == summary["found"]
    assert run(words(policy, "--eps", "1/5", "--out", str(out))) == 1  # another run is there
    capsys.readouterr()
    (out / "noise.json").unlink()  # as if it had been stopped there
    assert run(words(policy, "--eps", "1/5", "--out", str(out), "--json", "--resume")) == 0
    assert json.loads(capsys.readouterr().out)["found"] == summary["found"]


@pytest.mark.parametrize("solver", ["fgsm", "pgd", "adr", "secant", "standard"])
def test_every_attack_keeps_to_its_passes(
    solver: str, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passes = 50 if solver == "standard" else 12
    more = ["--solver", solver, "--budget", str(passes), "--episodes", "1", "--json", "--out", str(tmp_path / "run")]
    assert run(words(policy, "--eps", "0.1", "--goal", "margin", *more)) == 0
    found = json.loads(capsys.readouterr().out)["found"][solver]
    assert 1 <= found["passes"] <= passes + 50 * (solver == "standard")


@pytest.mark.parametrize(("more", "sentence"), [
    (["--solver", "standard"], "standard needs at least 50 passes"),
    (["--solver", "magic"], "unknown solver 'magic'"),
    (["--env", "Nowhere-v0"], "cannot make the environment 'Nowhere-v0'"),
    (["--env", "Pendulum-v1"], "the environment gives (3,)"),
    (["--eps", "-1"], "expected a finite eps >= 0"),
    (["--episodes", "0"], "--episodes must be at least 1"),
    (["--policy", "nowhere.zip"], "there is no policy nowhere.zip"),
])  # fmt: skip
def test_mistakes_are_one_line(
    more: list[str], sentence: str, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words(policy, "--eps", "0.1", "--out", str(tmp_path / "run"), *more)) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_pickles_are_trusted_only_when_it_is_said(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([word for word in words(policy, "--eps", "0.1") if word != "--trust"]) == 2
    assert "add --trust" in capsys.readouterr().err
