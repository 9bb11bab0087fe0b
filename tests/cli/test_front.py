"""What all commands have in common: --config, --quiet, --verbose, progress, doctor, completion."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from adrgd.cli import progress, run
from adrgd.cli.settings import words_of
from adrgd.runs.configs import dump

from .commands import ALL, flags_of

ATTACK = ["attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--limit", "2", "--steps", "2"]

RUNS = {
    "attack": [*ATTACK, "--eps", "1/5"],
    "attack, standard": [*ATTACK[:-2], "--eps", "1/5", "--solver", "standard", "--budget", "50", "--targeted", "next"],
    "attack, adr": [*ATTACK, "--eps", "1/5", "--solver", "adr:released", "--T-p", "7", "--no-perturb", "--box", "none"],
    "attack, another step": [*ATTACK, "--eps", "1", "--norm", "l2", "--step", "momentum", "--keep-going"],
    "attack, smallest changes": [*ATTACK[:-2], "--minimum", "--norm", "l2", "--passes", "80"],
    "attack, random": [*ATTACK, "--eps", "0.1", "--model", "bundled:mnist-pgd?noise=0.1", "--eot", "2"],
    "attack, several models": [*ATTACK, "--eps", "0.1", "--ensemble", "bundled:mnist-clean", "--ensemble-by", "worst",
                               "--judge", "bundled:mnist-clean"],
    "attack, a patch": [*ATTACK, "--patch", "4", "--straight-through", "round"],
    "attack, with proofs": [*ATTACK, "--eps", "0.001", "--norm", "l1", "--certify", "0.1"],
    "attack, a task": [*ATTACK, "--data", "npz:TAGS", "--task", "multilabel", "--share", "0.5", "--eps", "0.1"],
    "evaluate": ["evaluate", "--models", "bundled:mnist-pgd", "--eps", "0.1", "--solvers", "gd",
                 "--data", "bundled:mnist", "--limit", "2", "--steps", "2", "--noise-points", "2", "--targeted", "3"],
    "train": ["train", "--data", "bundled:mnist", "--eps", "1/9", "--steps", "1", "--epochs", "1", "--limit", "8",
              "--test-limit", "4", "--learning-rate", "1/1000"],
    "reconstruct": ["reconstruct", "--generator", "bundled:mnist-vae", "--data", "bundled:mnist", "--limit", "1",
                    "--steps", "2", "--solvers", "gd", "adam"],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*has no test images")
@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_made_again_from_its_own_settings(name: str, tmp_path: Path) -> None:
    command = RUNS[name][0]
    np.savez(tmp_path / "tags.npz", images=np.zeros((2, 1, 28, 28), np.float32), labels=np.zeros((2, 10), np.int64))
    words = [word.replace("TAGS", str(tmp_path / "tags.npz")) for word in RUNS[name]]
    assert run([*words, "--out", str(tmp_path / "a"), "--quiet"]) == 0
    config = tmp_path / "a" / "config.yaml"
    typed = RUNS[name][1:7] if command == "evaluate" else []  # what its settings do not hold
    assert run([command, "--config", str(config), *typed, "--out", str(tmp_path / "b"), "--quiet"]) == 0
    assert (tmp_path / "b" / "config.yaml").read_text() == config.read_text()


def test_settings_of_agents(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    from adrgd.rl import training

    refine = training.RefineConfig(radius=0.3, steps=7, target=True)
    made = training.Training(env="Pendulum-v1", steps=100, noise=0.2, refine=refine, limit=9)
    (tmp_path / "config.yaml").write_text(dump(made.config()))
    words = words_of(("rl", "train"), tmp_path / "config.yaml")
    assert {"--env-steps=100", "--exploration-noise=0.2", "--radius=0.3", "--refine-steps=7"} <= set(words)
    assert {"--target-critics", "--episode-steps=9"} <= set(words)
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= set(flags_of(("rl", "train")))


def test_typed_flags_go_before_and_files_may_have_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"model": "bundled:mnist-pgd", "data": "bundled:mnist", "eps": "8/255", "batch-size": 2, "steps": 9}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(plain))
    words = ["attack", f"--config={tmp_path / 'mine.yaml'}", "--steps", "2", "--limit", "2"]
    assert run([*words, "--json", "--out", str(tmp_path / "run")]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert (config["steps"], config["batch_size"], config["threat"]["eps"]) == (2, 2, 8 / 255)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("attack", "model: os.path:join\neps: 0.1\n"), ("train", "model: os.path:join?weights=x\n"),
        ("evaluate", "models: [bundled:mnist-pgd, os.path:join]\n"), ("attack", "judge: [os.path:join]\n"),
        ("attack", "ensemble: [bundled:mnist-pgd, os.path:join]\n"), ("reconstruct", "generator: os.path:join\n"),
        ("maximize", "model: os.path:join\n"), ("inspect", "model: os.path:join\n"),
        ("rl train", "env: antigravity:X-v0\n"), ("rl attack", "env: antigravity:X-v0\n"),
    ],
)  # fmt: skip
def test_a_file_names_nothing_that_runs_code(
    command: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert run([*command.split(), "--config", str(tmp_path / "mine.yaml")]) == 2
    assert "which is imported and can run any code: type --" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("step_s: 3\n", "has the setting 'step_s', which adrgd attack does not know; did you mean 'steps'?"),
        ("- 3\n", "holds no settings"),
        ("trust: true\n", "asks for trust, which is for you to give"),
        ("solver: magic\n", "unknown solver 'magic'"),
        ("eps: much\n", "--eps: expected a number"),
    ],
)
def test_settings_that_make_no_sense(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert run([*ATTACK, "--config", str(tmp_path / "mine.yaml")]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["--config"], ["--config", "nowhere.yaml"]])
def test_settings_that_are_not_there(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ATTACK, *words]) == 2
    assert "--config" in capsys.readouterr().err


def test_quiet_and_verbose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ATTACK, "--eps", "0.1", "--quiet", "--out", str(tmp_path / "a")]) == 0
    assert capsys.readouterr() == ("", "")
    assert run([*ATTACK, "--eps", "0.1", "--verbose", "--json", "--out", str(tmp_path / "b")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["images"] == 2
    for sentence in ("data bundled:mnist: 2 images", "model bundled:mnist-pgd: 163902 parameters", "a new run"):
        assert sentence in err


def test_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("FIRST", "EVERY"):
        monkeypatch.setattr(progress, name, 0.01)
    with progress.progress_bar() as bar:
        task = bar.add_task("0 broken", total=9)
        bar.update(task, completed=3, description="2 broken")
        deadline = time.monotonic() + 60
        while not (err := capsys.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert re.match(r"2 broken: 3 of 9, ", err)


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["check"]["passed"]
    assert "cpu" in found["machine"]["devices"]
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "well: a short attack breaks 0 of 20" in out
    assert [name for name in found["extras"] if not found["extras"][name]["there"] and f"[{name}]" not in out] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("adrgd att", "attack"), ("adrgd attack --so", "--solver"), ("adrgd rl tra", "train"),
        ("adrgd rl train --env-", "--env-steps"), ("adrgd attack --solver sta", "standard"),
        ("adrgd attack --norm l1", "l1"), ("adrgd evaluate --device a", "auto"), ("adrgd rl attack --goal w", "worst"),
    ],
)  # fmt: skip
def test_completion(typed: str, offered: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "bash"]) == 0
    (tmp_path / "adrgd.bash").write_text(capsys.readouterr().out)
    script = f"source {tmp_path}/adrgd.bash; COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _adrgd"
    done = subprocess.run(
        ["bash", "-c", f'{script}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{offered}\n"


def test_completion_knows_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "fish"):
        assert run(["completion", shell]) == 0
        out = capsys.readouterr().out
        for command in ALL:
            for flag in flags_of(command):
                assert flag in out or f"-l {flag[2:]}" in out or command[0] in ("attack", "maximize"), flag
