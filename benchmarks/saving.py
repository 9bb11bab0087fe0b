"""What checksums cost: the files of real runs, saved as they are and as they would be without, in turns.

    python benchmarks/saving.py

A run of each command is timed, and the content of all its files kept. Then the same files are
written again: into a run folder, each with its checksum, locked, and compared once more as a run does before it reads;
and plainly, as before there were checksums (beside their place, flushed, renamed, the folder flushed). The difference,
to the run's time, is what a run has become slower by.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

import torch
import tyro
from rich.progress import track

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from falsify.problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

from adrgd.cli import run
from adrgd.files import digest
from adrgd.runs import Run, open_run

Files = list[tuple[str, bytes]]

DATA = ["--data", "bundled:mnist", "--threads", "1"]
COMMANDS = {
    "attack, 50 iterations": [
        "attack", "--model", "bundled:mnist-pgd", *DATA, "--eps", "0.25", "--steps", "50", "--limit", "200",
        "--batch-size", "50", "--keep-going",
    ],
    "evaluate, 2 attacks": [
        "evaluate", "--models", "bundled:mnist-pgd", *DATA, "--eps", "0.25", "--steps", "50", "--limit", "100",
        "--batch-size", "50", "--noise-points", "20", "--keep-going",
    ],
    "train, 4 epochs": [
        "train", *DATA, "--eps", "0.2", "--steps", "5", "--epochs", "4", "--limit", "500", "--test-limit", "100",
    ],
    "reconstruct, 8 targets": [
        "reconstruct", "--generator", "bundled:mnist-vae", "--data", "bundled:mnist", "--limit", "8", "--steps",
        "200", "--threads", "1",
    ],
    "rl train, 2 legs": [
        "rl", "train", "--env", "Pendulum-v1", "--env-steps", "2000", "--evaluate-every", "1000", "--episodes", "2",
        "--learning-starts", "200",
    ],
}  # fmt: skip


INSTANCES = "falsify, 12 easy instances"


def instances(room: Path) -> list[str]:
    """A list of instances that are solved at once, the worst case: files are a large part of their work."""
    save_linear(room / "net.onnx", SUM_AND_DIFFERENCE)
    (room / "prop.vnnlib").write_text(vnnlib("(>= Y_0 1)"))
    (room / "instances.csv").write_text("net.onnx,prop.vnnlib,30\n" * 12)
    return ["falsify", "--instances", str(room / "instances.csv")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How often."""

    rounds: int = 7
    """Times that the files are written in either way."""
    json: bool = False
    """Print one JSON object and nothing else."""


def kept(words: list[str], out: Path) -> tuple[float, Files]:
    """The seconds of a run, and what it wrote, in order."""
    found: Files = []
    real = Run.write

    @contextmanager
    def write(self: Run, name: str) -> Iterator[BinaryIO]:
        with real(self, name) as stream:
            yield stream
        found.append((name, (self.path / name).read_bytes()))

    began = time.perf_counter()
    with mock.patch.object(Run, "write", write):
        code = run([*words, "--out", str(out), "--json"])
    if code:
        raise SystemExit(f"{' '.join(words)} ended with {code}")
    return time.perf_counter() - began, found


def with_checksums(files: Files, out: Path) -> None:
    with open_run(out, {}, resume=False) as folder:
        for name, content in files:
            folder.write_bytes(name, content)
        for name in dict(files):
            digest(out / name)


def plainly(files: Files, out: Path) -> None:
    for name, content in files:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(content)
        for place in (temporary, path.parent):
            if place == path.parent:
                os.replace(temporary, path)
            descriptor = os.open(place, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def seconds(write: Callable[[Files, Path], None], files: Files) -> float:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        began = time.perf_counter()
        write(files, Path(folder) / "run")
        return time.perf_counter() - began


def markdown(found: dict[str, Any]) -> str:
    lines = [
        "| run | its seconds | files | kilobytes | with checksums, s | plainly, s | slower by |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in found.items():
        lines.append(
            f"| {name} | {one['seconds']:.1f} | {one['files']} | {one['bytes'] / 1024:.0f} | {one['checksums']:.3f} | "
            f"{one['plain']:.3f} | {100 * one['slower']:+.2f} % |"
        )
    load = ", ".join(f"{one['load']:.1f}" for one in found.values())
    what = f"Medians of what was done in turns, by the clock; one thread; load averages {load}."
    return f"# What checksums cost\n\n{what}\n\n" + "\n".join(lines) + "\n\n`python benchmarks/saving.py`\n"


def main() -> None:
    options = tyro.cli(Options, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    torch.set_num_threads(1)
    found = {}
    for name in (*COMMANDS, INSTANCES):
        with tempfile.TemporaryDirectory() as room, open(os.devnull, "w") as nowhere, mock.patch("sys.stdout", nowhere):
            words = instances(Path(room)) if name == INSTANCES else COMMANDS[name]
            whole, files = kept(words, Path(room) / "run")
        times = [
            (seconds(with_checksums, files), seconds(plainly, files))
            for _ in track(range(options.rounds), name, disable=options.json)
        ]
        found[name] = {
            "seconds": whole, "files": len(files), "bytes": sum(len(content) for _, content in files),
            "checksums": statistics.median(one for one, _ in times),
            "plain": statistics.median(one for _, one in times),
            "load": os.getloadavg()[0],
            "slower": statistics.median(one - other for one, other in times) / whole,
        }  # fmt: skip
    folder = Path(__file__).parent / "results"
    (folder / "saving.json").write_text(json.dumps(found, indent=2) + "\n")
    (folder / "saving.md").write_text(markdown(found))
    print(json.dumps(found) if options.json else markdown(found))


if __name__ == "__main__":
    main()
