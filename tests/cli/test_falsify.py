"""adrgd falsify as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from falsify.problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

from adrgd.cli import run as cli
from adrgd.falsify import read_counterexample

pytest.importorskip("onnxruntime")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "prop.vnnlib").write_text(vnnlib("(>= Y_0 1)"))
    return str(save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE)), str(tmp_path / "prop.vnnlib")


def run(*argv: object) -> int:
    return cli(["falsify", *map(str, argv)])


def test_the_answer_is_the_first_line(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "verdict.txt"
    assert run(*files, "--out", out) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("sat\n((X_0 ")
    assert out.read_text() == printed
    x, y = read_counterexample(printed.removeprefix("sat"))
    assert y[0] == x.sum()
    assert y[0] >= 1


def test_json(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*files, "--json", "--seed", 3) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], found["seed"]) == ("sat", 3)
    assert len(found["counterexample"]["x"]) == 2


def test_no_counterexample(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[1]).write_text(vnnlib("(>= Y_0 3)"))
    assert run(*files) == 0
    assert capsys.readouterr().out == "unsat\n"
    assert run(*files, "--timeout", 0.3, "--no-prove") == 0
    assert capsys.readouterr().out == "timeout\n"


@pytest.mark.parametrize(
    ("prop", "reason"),
    [
        ("(assert (>= Y_0 1", "prop.vnnlib"),
        (vnnlib("(>= Y_7 1)"), "Y_7"),
        (vnnlib("(>= Y_0 1)", box=None), "X_0"),
        (vnnlib("(>= Y_0 1)", inputs=3), "found 3"),
    ],
)
def test_bad_properties(prop: str, reason: str, files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[1]).write_text(prop)
    assert run(*files) == 2
    printed = capsys.readouterr()
    assert printed.out == "error\n"
    assert reason in printed.err
    assert printed.err.count("\n") == 1


def test_bad_requests(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (
        [*files, "--timeout", "-1"], [files[0]], [tmp_path / "no.onnx", files[1]], [*files, "--resume", "x"],
        [*files, "--instances", "x.csv"], ["--instances", tmp_path / "no.csv"],
    ):  # fmt: skip
        assert run(*argv) == 2
        printed = capsys.readouterr()
        assert printed.out == "error\n"
        assert printed.err.count("\n") == 1


def test_a_counterexample_that_cannot_be_saved_is_printed(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*files, "--out", tmp_path) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("error\n((X_0 ")
    assert "was not saved" in printed.err


def test_out_holds_the_word_error_where_there_is_no_verdict(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "verdict.txt"
    out.write_text("sat\n((X_0 1))\n")
    Path(files[1]).write_text("")
    assert run(*files, "--out", out) == 2
    assert out.read_text() == "error\n"
    assert "expected declarations" in capsys.readouterr().err
    out.write_text("mine")
    assert run(*files, "--out", out) == 2
    assert out.read_text() == "mine"


@pytest.mark.parametrize("place", [".", "net.onnx/proof", "/dev/null", "/proc/proof"])
def test_a_proof_that_could_not_be_written_is_said_first(
    place: str, files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if place.startswith("/") and not Path(place).parent.exists():
        pytest.skip("this system has no such folder")
    assert run(*files, "--proof", tmp_path / place) == 2
    printed = capsys.readouterr()
    assert printed.out == "error\n"
    assert "--proof" in printed.err
    assert printed.err.count("\n") == 1


def test_several_networks(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("vnnlib")
    nets = "".join(
        f"(declare-network {n} (declare-input X{n} real [1,2]) (declare-output Y{n} real [2]))" for n in "fg"
    )
    box = "".join(f"(assert (and (>= X{n}[0,{i}] -1.0) (<= X{n}[0,{i}] 1.0)))" for n in "fg" for i in range(2))
    Path(files[1]).write_text(f"(vnnlib-version <2.0>){nets}{box}(assert (>= Yf[0] (+ Yg[0] 1.0)))")
    assert run(f"[('f', {files[0]!r}), ('g', {files[0]!r})]", files[1]) == 0
    assert capsys.readouterr().out.startswith("sat\nXf real [1, 2]\n")
    assert run(f"[('f', {files[0]!r})", files[1]) == 2
    assert "expected a file or a list such as" in capsys.readouterr().err


def test_a_list_of_instances(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "instances.csv").write_text("net.onnx,prop.vnnlib,120\nnet.onnx,missing.vnnlib,120\n")
    out = tmp_path / "run"
    assert run("--instances", tmp_path / "instances.csv", "--out", out) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("sat ")
    assert "2 instances: 1 sat, 0 unsat, 0 unknown, 0 timeout, 1 error" in printed
    assert run("--instances", tmp_path / "instances.csv", "--resume", "--out", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["sat"] == 1
