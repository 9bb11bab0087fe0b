"""A kill at any operation on any file leaves a folder that goes on to the same bits."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from adrgd.runs.checksums import CHECKSUMS, TORN
from adrgd.runs.verify import inspect

from .commands import COMMANDS, Command
from .disk import Killed, States, killed_at


def test_every_state_goes_on_to_the_same_bits(command: Command, whole: dict[str, object], tmp_path: Path) -> None:
    """All states that the folder passes through, those in the middle of a write and of the last steps among them."""
    out = tmp_path / "run"
    states = States(out, tmp_path / "states")
    states.record(lambda: command.run(out, resume=False))
    assert command.results(out) == whole
    for state in states.found:
        states.put_back(state)
        if (out / "config.yaml").exists():
            assert inspect(out).findings in ([], [f"{CHECKSUMS} {TORN}"]), state.name
        command.run(out, resume=True)
        assert command.results(out) == whole, state.name
        assert not inspect(out).findings


@pytest.mark.parametrize("name", ["attack"])
def test_killed_at_an_operation_and_once_more(name: str, tmp_path: Path) -> None:
    """The process itself ends at the k-th operation, for every fifth k; and the one that goes on, at a random one."""
    command, out, whole = COMMANDS[name], tmp_path / "run", tmp_path / "whole"
    command.run(whole, resume=False)
    expected = command.results(whole)
    expected.pop("summary.json")
    expected.pop("report.html")
    expected.pop("checksums.sha256")
    chosen, k, ended = random.Random(0), 0, False
    while not ended:
        for at in (k, chosen.randrange(k + 1)):
            try:
                with killed_at(out, at):
                    command.run(out, resume=True)
                ended = at == k
            except Killed:
                pass
        command.run(out, resume=True)
        found = command.results(out)
        assert {key: found[key] for key in expected} == expected, k
        assert set(found) - set(expected) == {"summary.json", "report.html", "checksums.sha256"}
        for file in sorted(out.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        k += 5
    assert k > 50


END = """
import os, sys
out, at, *argv = sys.argv[1:]
count = 0
def hook(name, arguments):
    global count
    if name in ("open", "os.rename", "os.remove", "os.mkdir") and out in str(arguments[0]):
        count += 1
        if count > int(at):
            os._exit(9)
sys.addaudithook(hook)
sys.argv = ["adrgd", *argv]
from adrgd.cli import main
main()
"""


@pytest.mark.parametrize("at", [6, 23])
def test_processes_that_really_end_there(at: int, tmp_path: Path) -> None:
    from adrgd.cli import run

    words = [
        "attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--eps", "0.2", "--steps", "2", "--limit",
        "4", "--batch-size", "2", "--threads", "1",
    ]  # fmt: skip
    out, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", END, str(out), str(at), *words, "--out", str(out)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 9
    for place in (out, whole):
        assert run([*words, "--out", str(place), *(["--resume"] if place == out else [])]) == 0
    one, other = ((place / "adversarial.safetensors").read_bytes() for place in (out, whole))
    assert one == other
