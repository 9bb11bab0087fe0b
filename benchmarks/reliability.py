"""What becomes of a run that is killed, interrupted, short of disk, or damaged: every figure of docs/reliability.md.

    python benchmarks/reliability.py
    python benchmarks/reliability.py --small FOLDER    # a file system of few megabytes, a tmpfs say, is filled too

Commands are tiny runs of each kind, as in tests/faults. What is lost came to other bits than an undisturbed run.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from faults.commands import COMMANDS, Command
from faults.disk import States, full_for_curves, full_from, operations
from faults.test_damage import files, findings, flip

from adrgd.errors import RunFolderError

ATTACK = [
    "attack", "--model", "bundled:mnist-pgd", "--data", "bundled:mnist", "--eps", "0.25", "--threads", "1", "--limit",
    "60", "--steps", "20", "--batch-size", "4",
]  # fmt: skip


RESULTS = Path(__file__).parent / "results" / "reliability.json"  # what is not tried again keeps its row


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much is tried."""

    flips: int = 1000
    """Bits that are flipped, over all commands."""
    kills: int = 20
    """SIGKILLs of one attack, at random times."""
    signals: int = 20
    """Attacks that are interrupted or terminated at random times."""
    small: Path | None = None
    """An empty folder on a small file system, to be filled."""
    commands: tuple[str, ...] = tuple(COMMANDS)
    """Which commands are tried."""
    only: tuple[Literal["kills", "flips", "no room", "full disk"], ...] = ("kills", "flips", "no room", "full disk")
    """What is tried on them; the rest keeps its figures."""
    seed: int = 0
    """Of all that is random."""
    json: bool = False
    """Print one JSON object and nothing else."""


def kill_points(command: Command, room: Path) -> dict[str, Any]:
    """Every state that the command's folder passes through goes on; how many come to other bits."""
    out, states = room / "run", States(room / "run", room / "states")
    states.record(lambda: command.run(out, resume=False))
    whole, lost = command.results(out), 0
    for state in states.found:
        states.put_back(state)
        try:
            command.run(out, resume=True)
            lost += command.results(out) != whole
        except Exception:
            lost += 1
    return {"operations": states.operations, "states": len(states.found), "lost": lost}


def flipped_bits(command: Command, room: Path, count: int, chosen: random.Random) -> dict[str, int]:
    """Bits of any file of finished and of stopped runs; how many `adrgd check` finds."""
    out, states = room / "run", States(room / "run", room / "states")
    states.record(lambda: command.run(out, resume=False))
    rest = [state for state in states.found if state.exists() and not list(state.rglob("*.adrgd"))]
    tried = found = 0
    while tried < count:
        states.put_back(rest[-1] if tried % 2 else chosen.choice(rest[len(rest) // 3 :]))
        if findings(out):  # half a line of the list, as a kill leaves it
            continue
        file = chosen.choice(files(out))
        flip(file, chosen.randrange(8 * file.stat().st_size))
        tried += 1
        found += bool(findings(out))
    return {"flipped": tried, "found": found}


def no_room(command: Command, room: Path) -> dict[str, int]:
    """No room at each operation, closing a file included: from then on, and for that one alone."""
    out, tried, lost = room / "run", 0, 0
    command.run(out, resume=False)
    whole = command.results(out)
    shutil.rmtree(out)
    count = len(operations(out, lambda: command.run(out, resume=False)))
    chances = [(partial(full_from, out, number, once=once)) for number in range(count) for once in (False, True)]
    if command.skipped:
        with full_for_curves(10**6) as met:
            shutil.rmtree(out)
            command.run(out, resume=False)
        chances += [partial(full_for_curves, number, once=once) for number in range(met[0]) for once in (False, True)]
    for chance in chances:
        shutil.rmtree(out, ignore_errors=True)
        try:
            with chance():
                command.run(out, resume=False)
        except RunFolderError as error:
            lost += "No space left on device" not in str(error)
        except Exception:
            lost += 1
        tried += 1
        command.run(out, resume=True)
        lost += command.results(out) != whole
    return {"tried": tried, "lost": lost}


def full_disk(command: Command, room: Path, small: Path) -> dict[str, int]:
    """Fill a file system all but a little, run, make room, and go on."""
    command.run(room / "whole", resume=False)
    whole, tried, lost = command.results(room / "whole"), 0, 0
    size = sum(file.stat().st_size for file in (room / "whole").rglob("*") if file.is_file()) + (1 << 16)
    for share in range(16):
        left, out = size * share // 16, small / "run"
        shutil.rmtree(out, ignore_errors=True)
        with (small / "ballast").open("wb") as ballast:
            free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
            ballast.write(bytes(max(0, free - left)))
        try:
            command.run(out, resume=False)
        except RunFolderError as error:
            tried += 1
            lost += "No space left on device" not in str(error)
        except Exception:
            tried, lost = tried + 1, lost + 1
        (small / "ballast").unlink()
        command.run(out, resume=True)
        lost += command.results(out).keys() != whole.keys()
    return {"filled": tried, "lost": lost}


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "adrgd", *ATTACK, "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def adversarial(out: Path) -> bytes:
    return (out / "adversarial.safetensors").read_bytes()


def killed(room: Path, count: int, chosen: random.Random) -> dict[str, Any]:
    """One attack, killed at random times again and again before it may end."""
    began = time.monotonic()
    start(room / "whole").communicate()
    whole, out, kills = time.monotonic() - began, room / "killed", 0
    while kills < count:
        process = start(out, "--resume")
        try:
            process.wait(chosen.uniform(0.3, 1.0) * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        _, err = process.communicate()
        if process.returncode not in (0, -signal.SIGKILL):
            return {"kills": kills, "lost": 1, "said": err}
        if process.returncode == 0:
            if adversarial(out) != adversarial(room / "whole"):
                return {"kills": kills, "lost": 1}
            shutil.rmtree(out)
    start(out, "--resume").communicate()
    return {"kills": kills, "lost": int(adversarial(out) != adversarial(room / "whole"))}


def interrupted(room: Path, count: int, chosen: random.Random) -> dict[str, Any]:
    """Attacks that are interrupted or terminated at random times, from 0.2 s after their start."""
    good, bad, done = 0, [], 0
    for k in range(count):
        out = room / f"signal{k}"
        process = start(out)
        number = (signal.SIGINT, signal.SIGTERM)[k % 2]
        time.sleep(chosen.uniform(0.2, 8.0))
        process.send_signal(number)
        _, err = process.communicate()
        if process.returncode == 0:
            done += 1
        elif process.returncode == 128 + number and err.count("\n") == 1 and "Traceback" not in err:
            good += 1
        else:
            bad.append({"code": process.returncode, "said": err[-300:]})
    return {"sent": count, "one line and the code": good, "had ended before": done, "otherwise": bad}


def measured(options: Options, work: Callable[[str], None]) -> dict[str, Any]:
    chosen = random.Random(options.seed)
    each = -(-options.flips // len(options.commands))
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"commands": {}}
    for name in options.commands:
        command, row = COMMANDS[name], {}
        jobs: dict[str, Callable[[Path], dict[str, Any]]] = {
            "kills": lambda room, command=command: kill_points(command, room),
            "flips": lambda room, command=command: flipped_bits(command, room, each, chosen),
            "no room": lambda room, command=command: no_room(command, room),
        }
        if options.small is not None:
            jobs["full disk"] = lambda room, command=command, small=options.small: full_disk(command, room, small)
        row |= found["commands"].get(name, {})
        for job, act in jobs.items():
            if job not in options.only:
                continue
            work(f"{name}: {job}")
            with tempfile.TemporaryDirectory() as room:
                row[job] = act(Path(room))
            found["commands"][name] = row
            RESULTS.write_text(json.dumps(found, indent=2) + "\n")  # so that the next call goes on from here
    for name, count, act in (
        ("SIGKILL", options.kills, lambda room: killed(room, options.kills, chosen)),
        ("signals", options.signals, lambda room: interrupted(room, options.signals, chosen)),
    ):
        if not count:
            continue
        work(name)
        with tempfile.TemporaryDirectory() as room:
            found[name] = act(Path(room))
    return found


def markdown(found: dict[str, Any]) -> str:
    columns = {
        "file operations": ("kills", "operations"), "states a kill leaves": ("kills", "states"),
        "lost": ("kills", "lost"),
        "bits flipped": ("flips", "flipped"), "found": ("flips", "found"),
        "operations without room": ("no room", "tried"), " lost": ("no room", "lost"),
        "times a disk was full": ("full disk", "filled"), "lost ": ("full disk", "lost"),
    }  # fmt: skip
    lines = [["command", *map(str.strip, columns)]]
    for name, row in found["commands"].items():
        lines.append([name, *(str(row.get(job, {}).get(key, "-")) for job, key in columns.values())])
    total = [sum(int(line[k]) for line in lines[1:] if line[k] != "-") for k in range(1, len(lines[0]))]
    lines.append(["**all**", *map(str, total)])
    lines.insert(1, ["---"] + ["---:"] * (len(lines[0]) - 1))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    kills, sent = found["SIGKILL"], found["signals"]
    words = [
        f"One attack killed by SIGKILL at {kills['kills']} random moments: {kills['lost']} times other bits.",
        f"{sent['sent']} attacks sent SIGINT or SIGTERM at a random moment: {sent['one line and the code']} ended with",
        f"one line and 130 or 143, {sent['had ended before']} had ended before, {len(sent['otherwise'])} otherwise.",
    ]
    made = f"torch {torch.__version__}, seed {found['seed']}; `python benchmarks/reliability.py`"
    return f"# Reliability\n\n{table}\n\n{' '.join(words)}\n\n{made}\n"


def main() -> None:
    options = tyro.cli(Options, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.fsync = lambda descriptor: None  # here nothing waits for the disk; the processes that are killed do
    found = measured(options, lambda what: None if options.json else print(what, file=sys.stderr, flush=True))
    found["seed"] = options.seed
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    RESULTS.with_suffix(".md").write_text(markdown(found))
    print(json.dumps(found) if options.json else markdown(found))


if __name__ == "__main__":
    main()
