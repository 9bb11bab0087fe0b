"""What walks over polytopes and the proof's branch and bound add to the rounds of `adrgd falsify`, in the same time.

    python benchmarks/falsify_walks.py --instances FOLDER/instances.csv --folders acasxu
    python benchmarks/falsify_walks.py --instances FOLDER/instances.csv --folders acasxu --stop-after 300   # and again

The list holds violated instances. Each is searched four ways under every seed: by rounds of graduated runs alone, by
these with walks from the best points after every cycle, by rounds in turns with the proof, whose branch and bound looks
for points as well, and by all of it, which is what the command does. A finished search is never repeated. Results go to
benchmarks/results/falsify_walks.md, line by line into .json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.falsify import falsify
from adrgd.falsify.instances import read_instances
from adrgd.falsify.rounds import schedule
from adrgd.files import write_text

WAYS = {
    "rounds alone": {"walks": False, "prove": False},
    "with walks": {"walks": True, "prove": False},
    "with the proof": {"walks": False, "prove": True},
    "with both": {"walks": True, "prove": True},
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to search."""

    instances: Path
    folders: tuple[str, ...] = ("acasxu",)
    seeds: int = 3
    limit: float = 10.0
    """Seconds for each search, its files included."""
    stop_after: float | None = None
    """Seconds after which no further search is begun."""
    out: Path = Path(__file__).parent / "results"


def main(options: Options) -> None:
    """Whatever is missing, then the table."""
    torch.set_num_threads(1)
    file = options.out / "falsify_walks.json"
    lines: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    listed = [one for one in read_instances(options.instances).instances if one.folder in options.folders]
    todo = {
        f"{one.folder} | {way} | {seed} | {Path(one.onnx).name} {Path(one.vnnlib).name}": (seed, one, way)
        for seed, one, way in itertools.product(range(options.seeds), listed, WAYS)
    }
    missing = [key for key in todo if key not in lines]
    began = time.monotonic()
    with progress_bar() as bar:
        shown = bar.add_task("searches", total=len(todo), completed=len(todo) - len(missing))
        for key in missing:
            if time.monotonic() - began > (options.stop_after or float("inf")):
                break
            seed, one, way = todo[key]
            found = falsify(
                one.network, one.prop, timeout=options.limit, seed=seed, prove=WAYS[way]["prove"],
                turns=schedule(walks=WAYS[way]["walks"]),
            )  # fmt: skip
            lines[key] = [found.found_by, round(found.search_seconds + found.proof_seconds, 4), found.answer]
            write_text(file, json.dumps(lines, indent=0) + "\n")
            bar.advance(shown)
    text = page(lines, options)
    write_text(options.out / "falsify_walks.md", text)
    print(text)


def page(lines: dict[str, Any], options: Options) -> str:
    """Counts by folder and way, one number a seed, and the seconds of all searches together."""
    out = [
        "# Walks and branch and bound in `adrgd falsify`", "",
        f"`python benchmarks/falsify_walks.py --instances FOLDER/instances.csv --folders {' '.join(options.folders)}`",
        "",
        f"Violated instances, {options.limit:g} s each, one thread. Counterexamples found, by seed; seconds of search "
        "and proof without reading the files, over all seeds. `wrong` counts answers `unsat`.", "",
        "| folder | instances | way | found | by the rounds | by a walk | by the proof | wrong | median s | mean s | "
        "slowest s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    parts = {tuple(key.split(" | ")): value for key, value in lines.items()}
    whole = Counter((folder, seed) for folder, _, seed, _ in parts)  # a seed that is not done yet is left out
    parts = {key: value for key, value in parts.items() if whole[key[0], key[2]] == max(whole.values())}
    for folder, way in itertools.product(dict.fromkeys(key[0] for key in parts), WAYS):
        runs = {key: value for key, value in parts.items() if key[:2] == (folder, way)}
        if not runs:
            continue
        seeds = [[run for key, run in runs.items() if key[2] == seed] for seed in sorted({key[2] for key in runs})]
        found = ", ".join(str(sum(bool(by) for by, *_ in one)) for one in seeds)
        by = [str(sum(run[0] == kind for run in runs.values())) for kind in ("rounds", "walk", "proof")]
        seconds = [run[1] for run in runs.values()]
        wrong = sum(run[2] == "unsat" for run in runs.values())
        out.append(
            f"| {folder} | {len({key[3] for key in runs})} | {way} | {found} | {' | '.join(by)} | {wrong} | "
            f"{statistics.median(seconds):.3f} | {statistics.mean(seconds):.3f} | {max(seconds):.2f} |"
        )
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
