"""What walks over polytopes add to the rounds of `adrgd falsify`: what the first of them find, and a walk after them.

    python benchmarks/falsify_walks.py --instances FOLDER/instances.csv --folders acasxu

The list holds violated instances. Each is searched with the first two rounds, and with the same and a walk from the
best points; nothing is proven. Results go to benchmarks/results/falsify_walks.md, line by line into .json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.progress import track

from adrgd.errors import AdrgdError
from adrgd.falsify import falsify
from adrgd.falsify.instances import read_instances
from adrgd.falsify.rounds import Round, Walk, schedule
from adrgd.files import write_text


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to search."""

    instances: Path
    folders: tuple[str, ...] = ("acasxu",)
    seeds: int = 3
    rounds: tuple[int, ...] = (1, 2)
    """Numbers of rounds before the walk."""
    limit: float = 30.0
    """Seconds for each search."""
    out: Path = Path(__file__).parent / "results"


def turns(rounds: int, walks: bool) -> Iterator[Round | Walk]:
    """The first rounds, and a walk."""
    yield from itertools.islice(schedule(walks=False), rounds)
    if walks:
        yield Walk()


def main(options: Options) -> None:
    """Whatever is missing, then the table."""
    torch.set_num_threads(1)
    file = options.out / "falsify_walks.json"
    lines: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    listed = [one for one in read_instances(options.instances).instances if one.folder in options.folders]
    todo = list(itertools.product(range(options.seeds), options.rounds, (False, True), listed))
    for seed, rounds, walks, one in track(todo, "instances"):
        key = f"{one.folder} | {rounds} | {walks} | {seed} | {Path(one.onnx).name} {Path(one.vnnlib).name}"
        if key in lines:
            continue
        began = time.process_time()
        found = falsify(
            one.network, one.prop, timeout=options.limit, seed=seed, turns=turns(rounds, walks), prove=False
        )
        lines[key] = [found.found_by, round(time.process_time() - began, 3)]
        write_text(file, json.dumps(lines, indent=0) + "\n")
    write_text(options.out / "falsify_walks.md", table(lines))
    print(table(lines))


def table(lines: dict[str, Any]) -> str:
    """Counts by folder and number of rounds, one number a seed."""
    out = ["# Walks over polytopes in `adrgd falsify`", ""]
    out += ["Counterexamples found, by seed; seconds are the processor's, for one instance, its files included.", ""]
    out += ["| folder | rounds | instances | rounds alone | seconds | with a walk | of them by the walk | seconds |"]
    out += ["|---|---|---|---|---|---|---|---|"]
    keys = [tuple(key.split(" | ")) for key in lines]
    for folder, rounds in dict.fromkeys((key[0], key[1]) for key in keys):
        cells: list[str] = []
        for walks in ("False", "True"):
            runs = [
                [lines[" | ".join(key)] for key in keys if key[:4] == (folder, rounds, walks, seed)]
                for seed in sorted({key[3] for key in keys})
            ]
            runs = [run for run in runs if run]
            cells.append(", ".join(str(sum(bool(by) for by, _ in run)) for run in runs))
            if walks == "True":
                cells.append(", ".join(str(sum(by == "walk" for by, _ in run)) for run in runs))
            every = [seconds for run in runs for _, seconds in run]
            cells.append(f"{sum(every) / max(1, len(every)):.2f}")
        count = len({key[4] for key in keys if key[:2] == (folder, rounds)})
        out.append(f"| {folder} | {rounds} | {count} | {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
