"""Both verdicts of `adrgd falsify` against those that the tools of a competition published. One thread, one process.

    python benchmarks/verdicts.py --instances FOLDER/verdicts.csv
    python benchmarks/verdicts.py --instances FOLDER/verdicts.csv --stop-after 300    # and again, until all are done
    python benchmarks/verdicts.py --instances FOLDER/verdicts.csv --summary           # the table again

The list is a csv file with onnx,vnnlib,timeout,sat_by,unsat_by a line: how many tools said `sat` and `unsat`. Each
instance gets its own timeout, for everything but the start of the process, which is measured at the end. A finished
instance is never repeated. Results go to benchmarks/results/verdicts.md and .parquet.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # NumPy and onnxruntime read it when they are imported

import csv
import json
import platform
import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro

import adrgd
from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.falsify import falsify
from adrgd.falsify.instances import Instance, read_instances
from adrgd.files import write_text, write_with
from adrgd.runs import open_run

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    instances: Path
    """csv file with onnx,vnnlib,timeout,sat_by,unsat_by a line."""
    seed: int = 0
    """Of all randomness."""
    stop_after: float | None = None
    """Seconds after which no further instance is begun."""
    work: Path = Path("runs/benchmark-verdicts")
    """Finished instances."""
    name: str = "verdicts"
    """Of the files under benchmarks/results."""
    summary: bool = False
    """Only write the table of what is finished."""


def measure(one: Instance, published: dict[str, str], seed: int) -> dict[str, Any]:
    """One instance, with what was published of it."""
    processor = time.process_time()
    verdict = falsify(one.network, one.prop, timeout=one.timeout, seed=seed)
    return {
        "property": one.prop.name.split(".")[0], "onnx": one.onnx, "vnnlib": one.vnnlib, "answer": verdict.answer,
        "published": truth(published), "seconds": verdict.seconds, "processor": time.process_time() - processor,
        "load": verdict.load_seconds, "search": verdict.search_seconds, "proof": verdict.proof_seconds,
        "nodes": verdict.nodes, "proven": verdict.proven, "message": verdict.message,
    }  # fmt: skip


def truth(published: dict[str, str]) -> str:
    """What the tools said; they never contradict each other in a usable list."""
    sat, unsat = int(published["sat_by"]), int(published["unsat_by"])
    return "sat" if sat > unsat else "unsat" if unsat else "open"


def table(rows: list[dict[str, Any]]) -> str:
    """Property by property: verdicts, those that differ, and seconds."""
    lines = [
        "| property | instances | sat | unsat | undecided | wrong | median s | of the processor | slowest s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    names = sorted({row["property"] for row in rows}, key=lambda name: (len(name), name))
    for name, part in [*((name, [row for row in rows if row["property"] == name]) for name in names), ("all", rows)]:
        counts = [sum(row["answer"] == answer for row in part) for answer in ("sat", "unsat")]
        decided = [row for row in part if row["answer"] in ("sat", "unsat")]
        wrong = sum(row["published"] not in (row["answer"], "open") for row in decided)
        seconds = [row["seconds"] for row in part]
        lines.append(
            f"| {name} | {len(part)} | {counts[0]} | {counts[1]} | {len(part) - sum(counts)} | {wrong} | "
            f"{statistics.median(seconds):.2f} | {statistics.median(row['processor'] for row in part):.2f} | "
            f"{max(seconds):.2f} |"
        )
    return "\n".join(lines)


def page(rows: list[dict[str, Any]], listed: int, options: Options) -> str:
    """The whole result as Markdown."""
    machine = f"Python {platform.python_version()}, torch {torch.__version__}, adrgd {adrgd.__version__}"
    open_ones = [f"- `{row['onnx']}` `{row['vnnlib']}`: {row['answer']}, {row['proven']:.0%} proven" for row in rows
                 if row["answer"] not in ("sat", "unsat")]  # fmt: skip
    slow = sorted(rows, key=lambda row: -row["seconds"])[:5]
    slowest = ", ".join(
        f"{row['onnx'].split('_batch')[0][-3:]} {row['property']} {row['seconds']:.1f} s ({row['processor']:.1f} s)"
        for row in slow
    )
    return f"""# Both verdicts against published ones

`python benchmarks/verdicts.py --instances FOLDER/verdicts.csv --seed {options.seed}`

{len(rows)} of {listed} instances, each with its own timeout, one thread; {machine}. Seconds are wall time from reading
the files to the verdict, on a machine that had other work to do as well; all together took
{sum(row["seconds"] for row in rows):.0f} s, and {sum(row["processor"] for row in rows):.0f} s of the processor.

{table(rows)}

Undecided: {len(open_ones)}.

{chr(10).join(open_ones)}

Slowest, and seconds of the processor: {slowest}.
"""


def main(options: Options) -> None:
    """Measure what is missing, then write the table."""
    torch.set_num_threads(1)
    listed = read_instances(options.instances)
    with options.instances.open(encoding="utf-8") as stream:
        published = list(csv.DictReader(stream))
    open_run(options.work, {"instances": listed.digest, "seed": options.seed}, resume=True)
    parts = {one: options.work / f"{one.index:05d}.json" for one in listed.instances}
    missing = [one for one, part in parts.items() if not part.exists()]
    began = time.monotonic()
    with progress_bar() as bar:
        shown = bar.add_task("instances", total=len(parts), completed=len(parts) - len(missing))
        for one in missing:
            if options.summary or time.monotonic() - began > (options.stop_after or float("inf")):
                break
            row = measure(one, published[one.index], options.seed)
            write_text(parts[one], json.dumps(row) + "\n")
            print(f"{row['answer']} {row['seconds']:.2f} s: {one.onnx} {one.vnnlib}", flush=True)
            bar.advance(shown)
    rows = [json.loads(part.read_text()) for part in parts.values() if part.exists()]
    RESULTS.mkdir(exist_ok=True)
    write_with(RESULTS / f"{options.name}.parquet", partial(pq.write_table, pa.Table.from_pylist(rows)))
    text = page(rows, len(parts), options)
    write_text(RESULTS / f"{options.name}.md", text)
    print(text)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
