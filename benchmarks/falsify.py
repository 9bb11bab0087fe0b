"""Verdicts on violated VNN-COMP instances, and the counterexamples against PGD's. One thread, one process.

    python benchmarks/falsify.py --instances FOLDER/instances.csv
    python benchmarks/falsify.py --instances FOLDER/instances.csv --summary     # the tables again

Ours searches and proves in turns, as the command does: `unsat` would contradict what is published of these instances.
Both searches get the same seconds for everything, reading the files included, the same evaluation of the property, the
same starting points, the same judge (onnxruntime, no tolerance), and stop at the first counterexample. PGD takes sign
steps falling linearly from two radii, first with 20 random restarts of 100 steps for each case of the property, then
with 256 more at a time. Each counterexample of ours is read back from its text and judged once more. An instance that
is finished is never repeated; the list must hold violated instances only, so that the best possible count is known.
Results go to benchmarks/results/falsify.md and .parquet.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # NumPy and onnxruntime read it when they are imported

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro

import adrgd
from adrgd import PGD
from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.falsify import Replay, Verdict, falsify, load_property, read_counterexample
from adrgd.falsify.instances import Instance, read_instances
from adrgd.falsify.rounds import Round
from adrgd.files import write_text, write_with
from adrgd.runs import open_run

RESULTS = Path(__file__).parent / "results"
SLOW = 1.0  # seconds that PGD takes on the instances whose times are compared


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    instances: Path
    """csv file with onnx,vnnlib,timeout a line; its timeouts are not used."""
    limit: float = 30.0
    """Seconds for each instance and search."""
    seed: int = 0
    """Of all randomness."""
    starts: int = 5
    """Repetitions of the start-up time."""
    work: Path = Path("runs/benchmark-falsify")
    """Finished instances."""
    name: str = "falsify"
    """Of the files under benchmarks/results."""
    summary: bool = False
    """Only write the tables of what is finished."""


def pgd(cases: int) -> Iterator[Round]:
    """The peer's rounds."""
    yield Round(20 * cases, 100, PGD(), open_share=0.0)
    while True:
        yield Round(256, 100, PGD(), open_share=0.0)


def measure(one: Instance, options: Options) -> dict[str, Any]:
    """Both searches on one instance."""
    prop = load_property(one.prop)
    run = partial(falsify, one.network, one.prop, timeout=options.limit, seed=options.seed)
    ours, theirs = run(), run(turns=pgd(len(prop.cases)), prove=False)
    confirmed = None
    if ours.counterexample:
        x, _ = read_counterexample(ours.text().removeprefix("sat"))
        confirmed = Replay(one.network).confirms(prop, x) is not None
    row = {"folder": one.folder, "onnx": one.onnx, "vnnlib": one.vnnlib, "confirmed": confirmed}
    return row | columns("ours", ours) | columns("pgd", theirs)


def columns(name: str, verdict: Verdict) -> dict[str, Any]:
    """What is kept of a verdict."""
    return {
        f"{name}_answer": verdict.answer, f"{name}_found": verdict.answer == "sat", f"{name}_seconds": verdict.seconds,
        f"{name}_search": verdict.search_seconds, f"{name}_passes": verdict.passes,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Folder by folder: found, and median seconds of search where it was found."""
    lines = [
        "| folder | published `sat` | ours `sat` | `unsat` (wrong) | undecided | PGD found | median search s | PGD | "
        "slowest s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    folders = dict.fromkeys(row["folder"] for row in rows)
    for name, part in [*((folder, [r for r in rows if r["folder"] == folder]) for folder in folders), ("all", rows)]:
        ours, theirs = ([row for row in part if row[f"{who}_found"]] for who in ("ours", "pgd"))
        wrong = sum(row["ours_answer"] == "unsat" for row in part)
        slowest = f"{max(row['ours_search'] for row in ours):.2f}" if ours else "-"
        undecided = len(part) - len(ours) - wrong
        lines.append(
            f"| {name} | {len(part)} | {len(ours)} | {wrong} | {undecided} | {len(theirs)} | "
            f"{median(ours, 'ours_search')} | {median(theirs, 'pgd_search')} | {slowest} |"
        )
    return "\n".join(lines)


def median(rows: list[dict[str, Any]], column: str) -> str:
    """Of one column, as text."""
    return f"{statistics.median(row[column] for row in rows):.3f}" if rows else "-"


def both_slow(rows: list[dict[str, Any]]) -> str:
    """The times on instances that both find and that take PGD more than a second."""
    lines = []
    for column, what in (("search", "of search"), ("seconds", "with reading both files, which is the same for both")):
        slow = [row for row in rows if row["ours_found"] and row["pgd_found"] and row[f"pgd_{column}"] > SLOW]
        if slow:
            ours, theirs = (statistics.median(row[f"{who}_{column}"] for row in slow) for who in ("ours", "pgd"))
            lines.append(
                f"- {what}: {len(slow)} instances, median {ours:.2f} s against PGD's {theirs:.2f} s, "
                f"a ratio of {ours / theirs:.2f}"
            )
    return "\n".join([f"Where both found one and PGD took more than {SLOW:g} s:\n", *lines])


def start_up(one: Instance, repeat: int) -> float:
    """Median wall seconds of the whole command on an instance: start, imports, files, search, verdict."""
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        command = [sys.executable, "-c", "import adrgd.cli; adrgd.cli.main()", "falsify", str(one.network)]
        subprocess.run([*command, str(one.prop)], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def page(rows: list[dict[str, Any]], options: Options, seconds: float) -> str:
    """The whole result as Markdown."""
    missed = [f"- `{row['vnnlib']}`" for row in rows if not row["ours_found"]]
    wrong = sum(row["confirmed"] is False for row in rows)
    machine = f"Python {platform.python_version()}, torch {torch.__version__}, adrgd {adrgd.__version__}"
    return f"""# Verdicts on violated VNN-COMP properties

`python benchmarks/falsify.py --instances FOLDER/instances.csv --limit {options.limit:g} --seed {options.seed}`

{options.limit:g} s for each instance and each search, one thread; {machine}. Seconds are wall time.

{table(rows)}

{both_slow(rows)}

Of our counterexamples, {wrong} failed when read back from their text and judged anew.
The whole command on the first small network, from start to verdict: {seconds:.2f} s (median of {options.starts}).

Not found: {len(missed)}.

{chr(10).join(missed)}
"""


def main(options: Options) -> None:
    """Measure what is missing, then write the tables."""
    torch.set_num_threads(1)
    listed = read_instances(options.instances)
    config = {"instances": listed.digest, "limit": options.limit, "seed": options.seed}
    open_run(options.work, config, resume=True)
    parts = {one: options.work / f"{one.index:05d}.json" for one in listed.instances}
    missing = [one for one, part in parts.items() if not part.exists()]
    if not options.summary:
        with progress_bar() as bar:
            shown = bar.add_task("instances", total=len(parts), completed=len(parts) - len(missing))
            for one in missing:
                row = measure(one, options)
                write_text(parts[one], json.dumps(row) + "\n")
                print(f"{row['ours_found']:d} {row['ours_seconds']:.2f} s, PGD {row['pgd_found']:d} "
                      f"{row['pgd_seconds']:.2f} s: {one.vnnlib}", flush=True)  # fmt: skip
                bar.advance(shown)
    rows = [json.loads(part.read_text()) for part in parts.values() if part.exists()]
    small = min(listed.instances, key=lambda one: one.network.stat().st_size)
    RESULTS.mkdir(exist_ok=True)
    write_with(RESULTS / f"{options.name}.parquet", partial(pq.write_table, pa.Table.from_pylist(rows)))
    text = page(rows, options, start_up(small, options.starts))
    write_text(RESULTS / f"{options.name}.md", text)
    print(text)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
