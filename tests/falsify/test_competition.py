"""The competition's scripts: what run_instance.sh leaves in its results file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

pytest.importorskip("onnxruntime")

SCRIPTS = Path(__file__).parents[2] / "packaging/vnncomp"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for bash")


@pytest.fixture
def adrgd(tmp_path: Path) -> Path:
    """The command of this very environment."""
    command = tmp_path / "adrgd"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m adrgd "$@"\n')
    command.chmod(0o755)
    return command


def call(script: str, *words: object, adrgd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ADRGD": str(adrgd)}
    words = ("v1", "category", *words)
    return subprocess.run(
        [SCRIPTS / script, *map(str, words)], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize(("formula", "answer"), [("(>= Y_0 1)", "sat"), ("(>= Y_0 3)", "unsat"), ("(>= Y_0", "error")])
def test_results(formula: str, answer: str, adrgd: Path, tmp_path: Path) -> None:
    net = save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE)
    (tmp_path / "prop.vnnlib").write_text(vnnlib(formula))
    results = tmp_path / "results.txt"
    results.write_text("whatever an earlier run left")
    done = call("run_instance.sh", net, tmp_path / "prop.vnnlib", results, "60", adrgd=adrgd)
    assert done.returncode == 0
    lines = results.read_text().splitlines()
    assert lines[0] == answer
    assert [line.strip("( )").split()[0] for line in lines[1:]] == (["X_0", "X_1", "Y_0", "Y_1"] * (answer == "sat"))


@pytest.mark.parametrize(("code", "answer"), [(1, "error"), (137, "timeout"), (143, "timeout")])
def test_a_program_that_leaves_nothing(code: int, answer: str, adrgd: Path, tmp_path: Path) -> None:
    adrgd.write_text(f"#!/bin/sh\nexit {code}\n")
    assert call("run_instance.sh", "net", "prop", tmp_path / "results", "1", adrgd=adrgd).returncode == 0
    assert (tmp_path / "results").read_text() == f"{answer}\n"


@pytest.mark.parametrize("script", ["install_tool.sh", "prepare_instance.sh", "run_instance.sh"])
def test_other_versions_are_refused(script: str) -> None:
    done = subprocess.run([SCRIPTS / script, "v2"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "expected: " in done.stderr
