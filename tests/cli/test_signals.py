"""Ctrl-C and SIGTERM: one line and the exit code, whatever is going on, and a folder that goes on to the same bits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from falsify.problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

from adrgd import __version__
from adrgd.cli import run, signals
from adrgd.falsify.batch import Batch
from adrgd.falsify.instances import read_instances

from .conftest import wait

ATTACK = [
    "attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--eps", "0.25", "--threads", "1", "--limit",
    "6", "--steps", "2", "--batch-size", "3",
]  # fmt: skip

AT = """
import os, sys
number, event, word, *argv = sys.argv[1:]
def hook(name, arguments):
    if name == event and word in str(arguments[0]):
        os.kill(os.getpid(), int(number))
sys.addaudithook(hook)
sys.argv = ["adrgd", *argv]
from adrgd.cli import main
main()
"""
"""Sends the process a signal when it imports, or opens, something whose name has a word in it."""


def ended(number: int, code: int, err: str, advice: str) -> None:
    assert code == 128 + number, err
    assert err.endswith("\n")
    *progress, last = err.splitlines()
    assert last == f"{signals.WORDS[signal.Signals(number)]}{advice}"
    assert all(re.match(r"[\w ]+: \d+ of \d+, ", line) for line in progress), err  # on a slow machine


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["import torch", "import numpy", "open .00000003.parquet"])
def test_at_a_moment(number: int, moment: str, tmp_path: Path) -> None:
    event, word = moment.split()
    command = [sys.executable, "-c", AT, str(int(number)), event, word, *ATTACK, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    at_work = event == "open"
    advice = f"; go on with the same command and --resume --out {tmp_path / 'run'}" if at_work else ""
    ended(number, done.returncode, done.stderr, advice)
    assert done.stdout == ""
    if "parquet" in word:
        for name, more in (("run", ["--resume"]), ("whole", [])):
            assert run([*ATTACK, "--out", str(tmp_path / name), *more]) == 0
        one, other = ((tmp_path / name / "adversarial.safetensors").read_bytes() for name in ("run", "whole"))
        assert one == other


def children(parent: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def test_workers_end_with_the_first_process_and_no_instance_counts_as_failed(tmp_path: Path) -> None:
    """A terminal, or a batch system, sends the signal to all processes at once."""
    pytest.importorskip("onnxruntime")
    save_linear(tmp_path / "net.onnx", SUM_AND_DIFFERENCE)
    for name, bound in (("yes", 1), ("no", 3)):
        (tmp_path / f"{name}.vnnlib").write_text(vnnlib(f"(>= Y_0 {bound})"))
    file, out = tmp_path / "instances.csv", tmp_path / "run"
    file.write_text("net.onnx,yes.vnnlib,30\nnet.onnx,no.vnnlib,30\nnet.onnx,no.vnnlib,30\n")
    words = ["falsify", "--instances", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "adrgd", *words, "--processes", "2", "--no-prove", "--out", str(out)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait(process, (out / "parts" / "00000.json").exists)
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=300)
    advice = f"; go on with the same command and --resume --out {out}"
    ended(signal.SIGINT, process.returncode, err, advice)
    assert [json.loads(part.read_text())["answer"] for part in (out / "parts").glob("*.json")] == ["sat"]
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker went on"
        time.sleep(0.05)
    config = {"adrgd": __version__, "timeout": None}
    again = Batch(read_instances(file), out, seed=0, tolerance=0.0, prove=False, config=config, resume=True)
    assert [one.index for one in again.pending()] == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_has_ended_stays_done(number: signal.Signals) -> None:
    """The interpreter's own end takes handlers back, and may take long."""
    text = (
        "import signal, time\n"
        "class Slow:\n"
        "    def __del__(self): print('ending', flush=True); time.sleep(1)\n"
        "signal.slow = Slow()\n"
        "from adrgd.cli import main\n"
        "main(['--version'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "ending" not in (process.stdout.readline() if process.stdout else "ending"):
        pass
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_signal_that_is_ignored_stays_so() -> None:
    text = (
        "import signal; from adrgd.cli import signals; signals.install(); print(repr(signal.getsignal(signal.SIGINT)))"
    )
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, text], capture_output=True, text=True, check=True
    )
    assert "SIG_IGN" in done.stdout


def test_help_needs_no_torch() -> None:
    text = "import sys; from adrgd.cli import run; run(['--help']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", text], capture_output=True, check=True)
