"""One name for one thing in all commands, and what the names of before have become."""

from __future__ import annotations

import warnings

import pytest

from adrgd.cli import run
from adrgd.cli.options import usable_device
from adrgd.errors import UsageError

from .commands import ALL, flags_of


def test_a_name_is_one_kind_of_value_everywhere() -> None:
    """`--resume` is no folder in one command and a switch in another."""
    kinds: dict[str, set[str]] = {}
    for command in ALL:
        for name, shown in flags_of(command).items():
            kinds.setdefault(name, set()).add(shown.removesuffix(" ..."))
    allowed = {"--out": {"FILE", "FOLDER"}}
    assert {name: found for name, found in kinds.items() if len(found) > 1 and found != allowed.get(name)} == {}


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["train", "--rate", "1", "--data", "x", "--eps", "y"], "--learning-rate"),
        (["evaluate", "--noise", "1", "--eps", "y"], "--noise-points"),
        (["reconstruct", "--target", "x", "--restarts", "y"], "--data"),
        (["maximize", "x", "--time-limit", "1", "--gap", "y"], "--timeout"),
        (["maximize", "x", "--tolerance", "1", "--timeout", "y"], "--gap"),
        (["falsify", "--instances", "x", "--resume", "x", "--seed", "y"], "--resume --out FOLDER"),
        (["rl", "train", "--steps", "1", "--seed", "y"], "--env-steps"),
        (["rl", "train", "--target", "--seed", "y"], "--target-critics"),
        (["rl", "train", "--noise", "1", "--seed", "y"], "--exploration-noise"),
        (["rl", "play", "--run", "x", "--seed", "y"], "FOLDER"),
        (["rl", "play", "--limit", "1", "--seed", "y"], "--episode-steps"),
        (["check-proof", "x", "--net", "y", "--spec", "z", "--exact"], "NETWORK"),
        (["rl", "attack", "--passes", "1", "--seed", "y"], "--budget"),
    ],
)
def test_names_of_before(words: list[str], new: str, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(words) == 2
    err = capsys.readouterr().err
    assert f"is called {new} now; the old name goes in version" in err
    assert "unknown option" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "--model", "nowhere.onnx"], ["inspect", "--model=nowhere.onnx", "--data", "x"],
        ["maximize", "--lower", "0", "--upper", "1", "--model", "nowhere.onnx"],
        ["maximize", "--model", "nowhere.onnx", "--solver", "pgd?length=1", "--lower", "0", "--upper", "1"],
        ["falsify", "--prop", "x.vnnlib", "--network", "nowhere.onnx"], ["check", "--folder", "nowhere.onnx"],
        ["check-proof", "x", "--prop", "z", "--network=nowhere.onnx"],
    ],
)  # fmt: skip
def test_what_has_no_flag_can_be_given_by_its_name_all_the_same(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) != 0
    err = capsys.readouterr().err
    assert "nowhere.onnx" in err or "x.vnnlib" in err or "'x'" in err
    assert "option" not in err


def test_the_fields_of_a_solver_behind_its_name_are_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--eps", "0.1", "--solver"]
    assert run([*asked, "pgd?lenght=1"]) == 2
    assert "unknown option --lenght; did you mean --length?" in capsys.readouterr().err
    assert run([*asked, "pgd?length=1", "--length", "2"]) == 2
    assert "expected length once, found it in 'pgd?length=1' and as --length" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "GPU", "", "cpu:1"])
def test_unknown_devices(name: str) -> None:
    with pytest.raises(UsageError, match="^unknown device '.*'; expected auto, cpu, cuda, cuda:N, mps, xpu or xpu:N$"):
        usable_device(name)


def test_auto_is_a_device_that_is_there() -> None:
    assert usable_device(usable_device("auto")) != "auto"


def test_every_command_that_computes_takes_a_device() -> None:
    missing = [command for command in ALL if "--device" not in flags_of(command)]
    assert missing == [("check-proof",), ("list",), ("doctor",), ("completion",), ("rl", "play")]
