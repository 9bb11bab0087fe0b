"""`adrgd attack` as a person or a script meets it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from adrgd.cli import run
from adrgd.models.mnist import mnist_cnn

from .conftest import Start, wait
from .saving import save

BASE = ["attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--eps", "0.25", "--threads", "1"]
QUICK = [*BASE, "--limit", "12", "--steps", "5"]


def test_json_is_all_that_is_printed(tmp_path: Path, start: Start) -> None:
    process = start("-m", "adrgd", *QUICK, "--json", "--out", str(tmp_path / "run"))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    summary = json.loads(out)
    for name in (
        "images", "success_rate", "clean_accuracy", "mean_loss", "forward_passes", "backward_passes", "seconds", "seed",
    ):  # fmt: skip
        assert isinstance(summary[name], int | float), name
    assert summary["images"] == 12
    assert summary["config"]["solver"]["gates"]["sigma0"] == 2.0
    assert summary["config"]["threat"] == {"norm": "linf", "eps": 0.25, "lower": 0.0, "upper": 1.0, "target": None}
    assert (tmp_path / "run" / "report.html").exists()


def test_killed_in_the_middle_goes_on_to_the_same_result(tmp_path: Path, start: Start) -> None:
    words = [*BASE, "--limit", "40", "--steps", "30", "--batch-size", "4"]
    process = start("-m", "adrgd", *words, "--out", str(tmp_path / "killed"))
    parts = tmp_path / "killed" / "parts"
    wait(process, lambda: len(list(parts.glob("*.parquet"))) >= 2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = len(list(parts.glob("*.parquet")))
    assert done < 10, "nothing was left to do"
    assert run([*words, "--out", str(tmp_path / "killed"), "--resume", "--json"]) == 0
    assert run([*words, "--out", str(tmp_path / "whole"), "--json"]) == 0
    killed, whole = (
        pq.read_table(tmp_path / name / "results.parquet").drop_columns(["seconds"]) for name in ("killed", "whole")
    )
    assert killed.equals(whole)
    first, second = ((tmp_path / name / "adversarial.safetensors").read_bytes() for name in ("killed", "whole"))
    assert first == second


def test_interruption_says_how_to_go_on(tmp_path: Path, start: Start) -> None:
    process = start("-m", "adrgd", *BASE, "--steps", "500", "--batch-size", "2", "--out", str(tmp_path / "run"))
    wait(process, (tmp_path / "run" / "parts").exists)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert f"--resume --out {tmp_path / 'run'}" in err
    assert "Traceback" not in err


def test_solver_flags_follow_the_solver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--solver", "adr:released-random-a", "--T-p", "7", "--length", "0.3", "--targeted", "next", "--json"]
    assert run([*QUICK, *words, "--out", str(tmp_path)]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert config["solver"]["gates"]["T_p"] == 7
    assert config["solver"]["gates"]["reduction"] == "max"
    step = {"rule": "Normalised", "schedule": "constant", "power": 2.0, "length": 0.3, "least": 0.0}
    assert config["solver"]["step"] == step
    assert config["threat"]["target"] == "next"


def test_another_step_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*QUICK, "--step", "momentum", "--decay-rate", "0.7", "--json", "--out", str(tmp_path)]) == 0
    step = json.loads(capsys.readouterr().out)["config"]["solver"]["step"]
    assert (step["rule"], step["decay_rate"]) == ("Momentum", 0.7)


def test_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*QUICK, "--restarts", "3", "--norm", "l2", "--eps", "1.5", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "success rate" in out
    assert f"{tmp_path}/report.html" in out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--eps", "0"], 2, "eps must be positive"),
        (["--eps", "-0.1"], 2, "eps must be positive"),
        (["--eps", "much"], 2, "much"),
        (["--solver", "magic"], 2, "unknown solver 'magic'"),
        (["--solver", "adr:magic"], 2, "unknown ADR-GD preset 'magic'"),
        (["--solver", "pgd:fast"], 2, "has no presets"),
        (["--step", "magic"], 2, "unknown step rule"),
        (["--loss", "magic"], 2, "unknown loss"),
        (["--model", "magic"], 2, "magic"),
        (["--model", "bundled:magic"], 2, "magic"),
        (["--model", "nowhere.onnx"], 2, "nowhere.onnx"),
        (["--data", "magic"], 2, "magic"),
        (["--data", "mnist:nowhere"], 2, "nowhere"),
        (["--data", "bundled:mnist", "--limit", "0"], 2, "limit"),
        (["--targeted", "10"], 2, "target class 10"),
        (["--targeted", "best"], 2, "unknown target"),
        (["--targeted", "3", "--untargeted"], 2, "exclude each other"),
        (["--steps", "0"], 2, "--steps must be at least 1"),
        (["--batch-size", "0"], 2, "--batch-size must be at least 1"),
        (["--device", "abacus"], 2, "abacus"),
        (["--sigma0", "-1"], 2, "sigma0"),
        (["--sigma", "1"], 2, "--sigma"),
        (["--resume"], 2, "--out"),
        (["--layers", "9"], 2, "asks for layer 9"),
    ],
)
def test_bad_usage_is_one_line(
    words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run([*QUICK, *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]


def test_corrupt_folders_and_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("{")
    assert run([*QUICK, "--resume", "--out", str(tmp_path / "run")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    torch.save({"a": torch.zeros(3)}, tmp_path / "weights.pt")
    assert run([*QUICK, "--model", f"mnist-cnn?weights={tmp_path / 'weights.pt'}"]) == 2
    assert "weights.pt" in capsys.readouterr().err


def test_models_that_cannot_be_attacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A factory's dropout is switched off on loading; noise in the forward pass and logits of NaN are found."""
    (tmp_path / "strange.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Noisy(nn.Sequential):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x) + torch.rand(len(x), 10)\n"
        "class Mixing(nn.Sequential):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x - x.mean(0))\n"
        "def noisy():\n"
        "    return Noisy(nn.Flatten(), nn.Linear(784, 10))\n"
        "def mixing():\n"
        "    return Mixing(nn.Flatten(), nn.Linear(784, 10))\n"
        "def broken():\n"
        "    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
        "    nn.init.constant_(net[1].weight, float('nan'))\n"
        "    return net\n"
    )
    monkeypatch.chdir(tmp_path)
    for name, sentence in (("noisy", "two calls"), ("mixing", "rest of its batch"), ("broken", "finite logits")):
        assert run([*QUICK, "--model", f"strange:{name}"]) == 2
        err = capsys.readouterr().err
        assert sentence in err
        assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_images_outside_the_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "far.npz", images=np.full((3, 1, 28, 28), 2.0, np.float32), labels=np.zeros(3, np.int64))
    assert run([*QUICK, "--data", f"npz:{tmp_path / 'far.npz'}"]) == 2
    assert "found values from 2 to 2" in capsys.readouterr().err


def test_images_of_another_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "wide.npz", images=np.zeros((3, 3, 32, 32), np.float32), labels=np.zeros(3, np.int64))
    assert run([*QUICK, "--data", f"npz:{tmp_path / 'wide.npz'}"]) == 2
    assert "(1, 28, 28)" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["pt2", "pt", "onnx"])
def test_saved_networks(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same weights in any file break the same images."""
    torch.manual_seed(0)
    net = mnist_cnn().eval()
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    file = tmp_path / f"net.{form}"
    save(net, file)
    rates = []
    for model in (str(file), f"mnist-cnn?weights={tmp_path / 'weights.pt'}"):
        assert run([*QUICK, "--model", model, "--json", "--out", str(tmp_path / model.replace("/", "_"))]) == 0
        summary = json.loads(capsys.readouterr().out)
        rates.append((summary["success_rate"], summary["forward_passes"], round(summary["mean_loss"], 3)))
    assert rates[0] == rates[1]


def test_the_ensemble_has_a_budget_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*BASE, "--limit", "6", "--solver", "standard"]
    assert run([*words, "--budget", "150", "--json", "--out", str(tmp_path / "run")]) == 0
    summary = json.loads(capsys.readouterr().out)
    chosen = {"budget": 150, "walk": 0.1, "branch": 0.0, "flip": 0.0, "program": 0.0}
    assert summary["config"]["solver"] == {"name": "standard", **chosen}
    assert summary["forward_passes"] + summary["backward_passes"] <= 6 * 150
    assert "up to 150 passes an image" in (tmp_path / "run" / "report.html").read_text()
    assert run([*words, "--out", str(tmp_path / "run"), "--budget", "150", "--resume"]) == 0
    assert "budget, passes an image" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--step", "adam"], "--step needs a solver with one step rule, found standard"),
        (["--budget", "3"], "at least 50 passes"),
        (["--steps", "7"], "leave that out"),
        (["--keep-going"], "stops at success"),
    ],
)
def test_what_the_ensemble_refuses(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*BASE, "--limit", "6", "--solver", "standard", *flags, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err


def test_gates_stand_in_the_summary_and_can_be_required(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--data", "bundled:mnist", "--limit", "4", "--eps", "0.2", "--steps", "3", "--json", "--require-gates"]
    assert run(["attack", "--model", "bundled:mnist-pgd", *short, "--out", str(tmp_path / "a")]) == 0
    gates = json.loads(capsys.readouterr().out)["gates"]
    assert (gates["seen"], gates["gated"], gates["plain"]) == (4, {"relu": 4}, [])
    smooth = ["attack", "--model", "bundled:mnist-convnext", *short, "--solver", "adr:paper-mnist-untargeted"]
    assert run([*smooth, "--out", str(tmp_path / "b")]) == 2
    assert "gates are required, and" in capsys.readouterr().err


MINIMUM = [*BASE[:5], "--minimum", "--norm", "l0", "--limit", "3", "--passes", "120"]


def test_smallest_changes_and_their_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*MINIMUM, "--json", "--out", str(tmp_path / "run")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert 1 <= summary["found"] <= 3
    assert summary["median"] == int(summary["median"])
    assert run(["check", str(tmp_path / "run")]) == 0
    assert f"{summary['found']} of them broken: nothing is wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*MINIMUM, "--eps", "0.1"], "--eps has no meaning with --minimum"),
        ([*MINIMUM, "--restarts", "3"], "--restarts has no meaning with --minimum"),
        ([*MINIMUM, "--box", "none"], "leave --box none out"),
        ([*MINIMUM, "--solver", "standard"], "found standard"),
        (BASE[:5], "expected --eps, the largest perturbation, or --minimum"),
    ],
)
def test_flags_that_exclude_each_other(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert sentence in capsys.readouterr().err
