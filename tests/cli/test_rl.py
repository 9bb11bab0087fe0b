"""`adrgd rl` as a person or a script meets it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

pytest.importorskip("stable_baselines3", reason="needs the extra [rl]")

from adrgd.cli import run
from adrgd.files import digest
from adrgd.rl import training
from adrgd.rl.checkpoint import CHECKPOINT
from adrgd.rl.training import load_run
from adrgd.runs.checksums import Checksums

from .conftest import Start, wait

BASE = [
    "rl", "train", "--env", "Pendulum-v1", "--env-steps", "300", "--evaluate-every", "100", "--episodes", "1",
    "--learning-starts", "50", "--net", "16", "16", "--refine-steps", "5",
]  # fmt: skip


def result(out: Path) -> tuple[list[torch.Tensor], Any]:
    return list(load_run(out)[0].policy.state_dict().values()), pq.read_table(out / "evaluations.parquet").to_pylist()


def same(one: Path, other: Path) -> bool:
    (weights, rows), (others, more) = result(one), result(other)
    return rows == more and all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))


def test_json_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--refine", "adr", "--critic", "min", "--radius", "0.3", "--algo", "ddpg", "--json"]
    assert run([*BASE, "--env-steps", "100", *words, "--out", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert err == ""
    assert summary["steps"] == 100
    assert summary["gain"] > 0
    assert summary["config"]["refine"]["critic"] == "min"
    assert summary["config"] == yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())


def test_table_and_picture_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pygame", reason="Pendulum is drawn by pygame")
    out = tmp_path / "run"
    assert run([*BASE, "--env-steps", "100", "--refine", "none", "--out", str(out)]) == 0
    assert "last mean reward" in capsys.readouterr().out
    assert run(["rl", "play", str(out), "--episode-steps", "12", "--refine", "gd", "--width", "64"]) == 0
    assert f"see {out}/episode.gif" in capsys.readouterr().out
    with Image.open(out / "episode.gif") as picture:
        assert picture.size == (64, 64)
        assert picture.n_frames > 5
    assert run(["rl", "play", str(out), "--episode-steps", "3", "--json", "--out", str(tmp_path / "other.gif")]) == 0
    assert json.loads(capsys.readouterr().out)["length"] == 3


def test_killed_in_the_middle_goes_on_to_the_same_result(tmp_path: Path, start: Start) -> None:
    process = start("-m", "adrgd", *BASE, "--env-steps", "50000", "--out", str(tmp_path / "killed"))
    wait(process, (tmp_path / "killed" / CHECKPOINT).exists)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    config = tmp_path / "killed" / "config.yaml"
    steps = load_run(tmp_path / "killed")[0].num_timesteps
    assert steps % 100 == 0
    words = [*BASE, "--env-steps", str(steps + 100), "--json"]
    # the same run to an earlier end: nothing but that end and the size of the buffer would differ
    config.write_text(config.read_text().replace("steps: 50000", f"steps: {steps + 100}"))
    Checksums.read(config.parent).add(config.name, digest(config))
    assert run([*words, "--out", str(tmp_path / "killed"), "--resume"]) == 0
    assert run([*words, "--out", str(tmp_path / "whole")]) == 0
    assert same(tmp_path / "killed", tmp_path / "whole")


def test_interruption_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training.TD3, "train", lambda *args, **settings: os.kill(os.getpid(), signal.SIGINT))
        assert run([*BASE, "--out", str(out)]) == 130
    assert f"--resume --out {out}" in capsys.readouterr().err
    assert run([*BASE, "--out", str(out), "--resume"]) == 0
    assert run([*BASE, "--out", str(out)]) == 1
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--env", "Nowhere-v0"], "Nowhere-v0"),
        (["--env", "CartPole-v1"], "has the actions Discrete(2)"),
        (["--algo", "sac"], "sac"),
        (["--refine", "magic"], "unknown solver 'magic'"),
        (["--refine", "adr:magic"], "unknown ADR-GD preset"),
        (["--probability", "2"], "probability"),
        (["--radius", "0"], "radius"),
        (["--refine-steps", "0"], "--refine-steps must be at least 1"),
        (["--env-steps", "0"], "--env-steps must be at least 1"),
        (["--env-steps", "many"], "many"),
        (["--env-steps", "320"], "multiples of update_every = 50"),
        (["--start", "-1"], "start >= 0"),
        (["--critic", "best"], "best"),
        (["--threads", "0"], "--threads must be at least 1"),
        (["--net", "0"], "must be positive"),
        (["--learning-rate", "0"], "must be positive"),
        (["--resume"], "--out"),
        (["--sigma", "1"], "--sigma"),
    ],
)
def test_bad_usage_is_one_line(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*BASE, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["rl", "dance"], 2, "unknown command 'rl dance'; expected one of train, attack, play"),
        (["rl", "play"], 2, "missing: FOLDER"),
        (["rl", "play", "nowhere"], 1, "not a folder of `adrgd rl train`"),
    ],
)
def test_other_mistakes(words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == code
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(["rl", "--help"])
    assert stop.value.code == 0
    assert "train|play" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        run(["rl"])
    assert stop.value.code == 2


def test_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [module for module in sys.modules if module.startswith(("stable_baselines3", "adrgd.rl"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    assert run(BASE) == 2
    assert '[rl]"' in capsys.readouterr().err
