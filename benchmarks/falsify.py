"""Verdicts on violated VNN-COMP instances, and the counterexamples against PGD's. One thread, one process.

    python benchmarks/falsify.py --instances FOLDER/instances.csv
    python benchmarks/falsify.py --instances FOLDER/instances.csv --stop-after 300    # and again, until all are done
    python benchmarks/falsify.py --instances FOLDER/instances.csv --summary           # the tables again

Ours searches and proves in turns, as the command does: `unsat` would contradict what is published of these instances.
Both searches get the same seconds for everything, reading the files included, the same evaluation of the property, the
same starting points, the same judge (onnxruntime, no tolerance), and stop at the first counterexample. PGD takes sign
steps falling linearly from two radii, first with 20 random restarts of 100 steps for each case of the property, then
with 256 more at a time. Each counterexample of ours is read back from its text and judged once more. An instance that
is finished is never repeated, and one that is refused is counted with its reason; the list must hold violated instances
only, so that the best possible count is known.
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
from adrgd.falsify import falsify, load_property, read_counterexample
from adrgd.falsify.instances import Instance, read_instances
from adrgd.falsify.networks import load_networks
from adrgd.falsify.rounds import Round
from adrgd.files import write_text, write_with
from adrgd.runs import open_run

RESULTS = Path(__file__).parent / "results"
WHO = ("ours", "pgd")
SLOW = 1.0  # seconds that PGD takes on the instances whose times are compared


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    instances: Path
    """csv file with onnx,vnnlib,timeout a line; its timeouts are not used."""
    limit: float = 20.0
    """Seconds for each instance and search."""
    seed: int = 0
    """Of all randomness."""
    starts: int = 5
    """Repetitions of the start-up time; 0 leaves it out."""
    stop_after: float | None = None
    """Seconds after which no further instance is begun."""
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


def measure(one: Instance, who: str, options: Options) -> dict[str, Any]:
    """One search on one instance."""
    run = partial(falsify, one.network, one.prop, timeout=options.limit, seed=options.seed)
    confirmed = None
    try:
        prop = load_property(one.prop)
        found = run() if who == "ours" else run(turns=pgd(len(prop.cases)), prove=False)
        if found.counterexample:
            x, _ = read_counterexample(found.text().removeprefix("sat"), prop)
            confirmed = load_networks(one.network, prop)[1].confirms(prop, x) is not None
    except AdrgdError as error:
        return {"answer": "refused", "seconds": 0.0, "search": 0.0, "passes": 0, "message": str(error)}
    return {
        "answer": found.answer, "seconds": found.seconds, "search": found.search_seconds, "passes": found.passes,
        "message": found.message, "confirmed": confirmed,
    }  # fmt: skip


def row(one: Instance, parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was measured of an instance, each search's columns beginning with its name."""
    columns = {f"{who}_{key}": value for who, part in parts.items() for key, value in part.items()}
    found = {f"{who}_found": part["answer"] == "sat" for who, part in parts.items()}
    return {"folder": one.folder, "onnx": one.onnx, "vnnlib": one.vnnlib} | columns | found


def table(rows: list[dict[str, Any]]) -> str:
    """Folder by folder: answers, median seconds where a counterexample was found, and the same for PGD."""
    lines = [
        "| folder | published `sat` | ours `sat` | `unsat` (wrong) | `timeout` | `unknown` | refused | median s | "
        "of its search | slowest s | PGD found | median search s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    folders = dict.fromkeys(row["folder"] for row in rows)
    for name, part in [*((folder, [r for r in rows if r["folder"] == folder]) for folder in folders), ("all", rows)]:
        ours, theirs = ([row for row in part if row.get(f"{who}_found")] for who in WHO)
        counts = [
            str(sum(row["ours_answer"] == answer for row in part))
            for answer in ("unsat", "timeout", "unknown", "refused")
        ]
        slowest = f"{max(row['ours_seconds'] for row in ours):.2f}" if ours else "-"
        tried = all("pgd_found" in row for row in part)
        cells = [
            name, str(len(part)), str(len(ours)), *counts, median(ours, "ours_seconds"), median(ours, "ours_search"),
            slowest, str(len(theirs)) if tried else "-", median(theirs, "pgd_search") if tried else "-",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def median(rows: list[dict[str, Any]], column: str) -> str:
    """Of one column, as text."""
    return f"{statistics.median(row[column] for row in rows):.3f}" if rows else "-"


def both_slow(rows: list[dict[str, Any]]) -> str:
    """The times on instances that both find and that take PGD more than a second."""
    lines = []
    for column, what in (("search", "of search"), ("seconds", "with reading both files, which is the same for both")):
        slow = [row for row in rows if row["ours_found"] and row.get("pgd_found") and row[f"pgd_{column}"] > SLOW]
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
    return statistics.median(seconds) if seconds else 0.0


def page(rows: list[dict[str, Any]], options: Options, seconds: float) -> str:
    """The whole result as Markdown."""
    missed = [
        f"- `{row['vnnlib']}`: {row['ours_answer']}{', ' + row['ours_message'] if row['ours_message'] else ''}"
        for row in rows if not row["ours_found"]
    ]  # fmt: skip
    wrong = sum(row.get("ours_confirmed") is False for row in rows)
    started = (
        f"The whole command on the smallest network, from start to verdict: {seconds:.2f} s (median of "
        f"{options.starts})." if options.starts else ""
    )  # fmt: skip
    load = f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} processors" if hasattr(os, "getloadavg") else "not known"
    machine = f"Python {platform.python_version()}, torch {torch.__version__}, adrgd {adrgd.__version__}"
    return f"""# Verdicts on violated VNN-COMP properties

`python benchmarks/falsify.py --instances FOLDER/instances.csv --limit {options.limit:g} --seed {options.seed}`

{options.limit:g} s for each instance and each search, one thread; {machine}. Seconds are wall time from reading the
files to the verdict; programs that wanted a processor when this was written: {load}.

{table(rows)}

{both_slow(rows)}

Of our counterexamples, {wrong} failed when read back from their text and judged anew.
{started}

Not found: {len(missed)}.

{chr(10).join(missed)}
"""


def main(options: Options) -> None:
    """Measure what is missing, then write the tables."""
    torch.set_num_threads(1)
    listed = read_instances(options.instances)
    config = {"instances": listed.digest, "limit": options.limit, "seed": options.seed}
    open_run(options.work, config, resume=True)
    files = {(who, one): options.work / f"{one.index:05d}-{who}.json" for who in WHO for one in listed.instances}
    missing = [key for key, file in files.items() if not file.exists() and not options.summary]
    missing.sort(key=lambda key: (key[0] != "ours", key[1].networks[0].stat().st_size))  # all verdicts come first
    began = time.monotonic()
    with progress_bar() as bar:
        shown = bar.add_task("searches", total=len(files), completed=len(files) - len(missing))
        for who, one in missing:
            if time.monotonic() - began > (options.stop_after or float("inf")):
                break
            found = measure(one, who, options)
            write_text(files[who, one], json.dumps(found) + "\n")
            print(f"{who} {found['answer']} {found['seconds']:.2f} s: {one.vnnlib}", flush=True)
            bar.advance(shown)
    rows = [
        row(one, {who: json.loads(files[who, one].read_text()) for who in WHO if files[who, one].exists()})
        for one in listed.instances if files["ours", one].exists()
    ]  # fmt: skip
    small = min(listed.instances, key=lambda one: one.networks[0].stat().st_size)
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
