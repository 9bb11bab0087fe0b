"""`adrgd train` as a person or a script meets it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from adrgd.cli import run
from adrgd.training import loop

from .conftest import Start, wait

KNOWN = pytest.mark.filterwarnings("ignore:.*has no test images")
BASE = [
    "train", "--data", "bundled:mnist", "--attack", "pgd", "--eps", "0.1", "--steps", "2", "--epochs", "1",
    "--limit", "64", "--test-limit", "16", "--batch-size", "32",
]  # fmt: skip


@pytest.mark.filterwarnings("always:.*has no test images")
def test_json_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run([*BASE, "--json", "--out", str(out)]) == 0
    printed, err = capsys.readouterr()
    summary = json.loads(printed)
    assert "bundled:mnist has no test images: the network is judged on those that it learns from" in err
    assert err.count("\n") == 1
    assert summary["judged_on_training_images"]
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["config"] == yaml.safe_load((out / "config.yaml").read_text())
    words = ["attack", "--model", f"mnist-cnn?weights={out / 'model.safetensors'}", "--data", "bundled:mnist"]
    assert run([*words, "--limit", "4", "--eps", "0.1", "--steps", "2", "--json", "--out", str(tmp_path / "a")]) == 0


@KNOWN
def test_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*BASE, "--attack", "none", "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "accuracy under PGD-20" in out
    assert "16  (it has learnt from them)" in out
    assert f"weights: {tmp_path}/run/model.safetensors" in out


@KNOWN
def test_interruption_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_update", lambda *args, **settings: os.kill(os.getpid(), signal.SIGINT))
        assert run([*BASE, "--out", str(out)]) == 130
    assert f"--resume --out {out}" in capsys.readouterr().err
    assert run([*BASE, "--out", str(out), "--resume"]) == 0
    assert run([*BASE, "--out", str(out)]) == 1
    assert "--resume" in capsys.readouterr().err


@KNOWN
def test_killed_in_the_middle_goes_on_to_the_same_result(tmp_path: Path, start: Start) -> None:
    words = [*BASE, "--epochs", "4", "--threads", "1"]
    script = "import sys; from adrgd.training import loop; loop.train.__kwdefaults__['every'] = 0.0; "
    script += "from adrgd.cli import main; main(sys.argv[1:])"
    process = start("-c", script, *words, "--out", str(tmp_path / "killed"))
    wait(process, (tmp_path / "killed" / "checkpoint.pt").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    assert run([*words, "--out", str(tmp_path / "killed"), "--resume", "--json"]) == 0
    assert run([*words, "--out", str(tmp_path / "whole"), "--json"]) == 0
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--attack", "magic"], "magic"),
        (["--eps", "0"], "eps must be positive"),
        (["--eps", "nan"], "eps must be positive"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--epochs", "many"], "many"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--batch-size", "0"], "--batch-size must be at least 1"),
        (["--learning-rate", "-1"], "must be positive"),
        (["--threads", "0"], "--threads must be at least 1"),
        (["--limit", "0"], "limit must be at least 1"),
        (["--model", "bundled:mnist-pgd"], "an architecture to train"),
        (["--model", "mnist-cn"], "did you mean 'mnist-cnn'?"),
        (["--model", "cifar-vgg-small"], "belong together"),
        (["--data", "mnist:nowhere"], "nowhere"),
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
