"""The front door: help, versions, unknown commands, failures."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from adrgd import __version__, cli
from adrgd.errors import AdrgdWarning
from adrgd.solvers import PRESETS, SOLVERS


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)
    assert cli.run([]) == 2


def test_version_through_the_module() -> None:
    done = subprocess.run([sys.executable, "-m", "adrgd", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"adrgd {__version__}\n"


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fly"]) == 2
    assert capsys.readouterr().err == f"error: unknown command 'fly'; expected one of {', '.join(cli.COMMANDS)}\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.run([command, "--help"])
    assert stop.value.code == 0
    assert command == "completion" or "--json" in capsys.readouterr().out


def test_list_shows_what_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["--solver"] == list(SOLVERS)
    assert found["--solver adr:PRESET"] == list(PRESETS)
    assert "bundled:mnist-pgd" in found["--model"]
    assert cli.run(["list"]) == 0
    assert "graduated" in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["20", "300"])
def test_a_pipe_is_never_too_narrow(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing is cut or wrapped, and no bar is drawn, whatever the environment says of a terminal that is not there."""
    for name, value in (("COLUMNS", columns), ("FORCE_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    assert cli.run(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in SOLVERS:
        assert any(name in line.split() for line in lines)
    words = ["attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--eps", "0.1", "--limit", "2"]
    assert cli.run([*words, "--steps", "2", "--out", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    assert "mean loss, clean -> adversarial" in out
    assert err == ""


def test_unexpected_failures_keep_their_traceback_for_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> int:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("adrgd.cli.list.command", fail)
    assert cli.run(["list"]) == 1
    assert capsys.readouterr().err == "error: RuntimeError: first line (run again with --debug for the traceback)\n"
    assert cli.run(["list", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_warnings_of_ours_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def warn(argv: list[str]) -> int:
        warnings.warn("a part was done again", AdrgdWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("adrgd.cli.list.command", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.run(["list"]) == 0
    assert capsys.readouterr().err == "warning: a part was done again\n"
