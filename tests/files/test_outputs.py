"""Results take the place of earlier results of the same command, and of nothing else."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from falsify.problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

from adrgd.cli import run


def maximize(out: Path) -> list[str]:
    model = save_linear(out.parent / "net.onnx", SUM_AND_DIFFERENCE)
    return [
        "maximize",
        str(model),
        "--lower",
        "-1",
        "--upper",
        "1",
        "--solver",
        "pgd",
        "--steps",
        "3",
        "--out",
        str(out),
    ]


def falsify(out: Path) -> list[str]:
    pytest.importorskip("onnxruntime")
    (out.parent / "prop.vnnlib").write_text(vnnlib("(>= Y_0 1)"))
    model = save_linear(out.parent / "net.onnx", SUM_AND_DIFFERENCE)
    return ["falsify", str(model), str(out.parent / "prop.vnnlib"), "--out", str(out)]


COMMANDS = pytest.mark.parametrize("command", [maximize, falsify])


@COMMANDS
@pytest.mark.parametrize("text", ["my notes\n", '{"model": 3}', "\x00"])
def test_a_file_of_somebody_else_is_left_alone(
    command: type, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.write_text(text)
    assert run(command(out)) == 2
    assert "is left alone; choose another --out" in capsys.readouterr().err
    assert out.read_text() == text


@COMMANDS
def test_an_earlier_result_is_replaced(command: type, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    for _ in range(2):
        assert run(command(out)) == 0
        assert out.stat().st_size


@COMMANDS
def test_a_full_disk_keeps_the_earlier_result_and_prints_the_new_one(
    command: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out"
    assert run(command(out)) == 0
    before = out.read_text()
    capsys.readouterr()
    monkeypatch.setattr(os, "fsync", full)
    assert run(command(out)) == 2
    printed = capsys.readouterr()
    assert "No space left on device" in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out
    assert out.read_text() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert not before.startswith("{") or json.loads(before)
