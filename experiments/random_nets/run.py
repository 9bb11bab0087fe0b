"""Table 1(c) and what it leaves out: every method on random networks, under the paper's protocol and at equal budgets.

    python experiments/random_nets/run.py                     # everything; stopped, the same command goes on
    python experiments/random_nets/run.py --quick             # two minutes, for a look
    python experiments/random_nets/run.py --models A --json

Finished parts, one Parquet file for each model, protocol and method, lie under --parts; the tables under --out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import torch
import tyro
from methods import METHODS
from protocols import protocols
from report import write_report
from study import FULL, QUICK, run, tune

from adrgd.cli.progress import progress_bar
from adrgd.errors import UsageError
from adrgd.files import write_with

HERE = Path(__file__).parent
TUNE = "tune"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    models: tuple[str, ...] = ("A", "B", "C")
    protocols: tuple[str, ...] = tuple(protocols())
    methods: tuple[str, ...] = tuple(METHODS)
    seed: int = 0
    """All starting points, restarts and noise come from it; the networks have seeds of their own."""
    workers: int = 2
    """Processes, of one thread each."""
    quick: bool = False
    """A few nets, half of the protocols, a tenth of the iterations; all under --parts with "-quick" appended."""
    parts: Path = Path("runs/random_nets")
    out: Path = HERE / "results"
    json: bool = False
    """Print the summary as one JSON object and nothing else."""


@dataclass(frozen=True)
class Task:
    """One part."""

    model: str
    protocol: str
    method: str

    def path(self, folder: Path) -> Path:
        return folder / f"{self.model}.{self.protocol}.{self.method}.parquet"


def work(task: Task, folder: Path, quick: bool, seed: int) -> float:
    """Do one task and write its part. Returns the seconds it took."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    size = QUICK if quick else FULL
    if task.protocol == TUNE:
        table = tune(task.model, task.method, size, seed)
    else:
        tuned = pq.read_table(Task(task.model, TUNE, task.method).path(folder))
        protocol = protocols(quick)[task.protocol]
        table = run(task.model, task.protocol, protocol, task.method, tuned, size, seed)
    seconds = time.perf_counter() - began
    table = table.replace_schema_metadata({"seconds": f"{seconds:.2f}"})
    write_with(task.path(folder), lambda path: pq.write_table(table, path, compression="zstd"))
    return seconds


def tasks(options: Options) -> list[list[Task]]:
    """Tuning first, since all else reads what it chose."""
    methods = [name for name in METHODS if name in options.methods]
    tuning = [Task(model, TUNE, method) for model in options.models for method in methods]
    running = [
        Task(model, name, method)
        for name, protocol in protocols(options.quick).items()
        if name in options.protocols
        for model in reversed(options.models)
        for method in methods
        if not protocol.methods or method in protocol.methods
    ]
    return [tuning, running]


def main(options: Options) -> None:
    """Run what is missing, then write the tables."""
    for given, known in (
        (options.models, ("A", "B", "C")), (options.methods, METHODS), (options.protocols, protocols())
    ):  # fmt: skip
        _check(given, known)
    folder = options.parts.with_name(options.parts.name + "-quick") if options.quick else options.parts
    parts, out = folder / f"seed-{options.seed}", folder / "results" if options.quick else options.out
    parts.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    stages = tasks(options)
    context = get_context("spawn")
    with progress_bar() as bar, ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        shown = bar.add_task("random nets", total=sum(map(len, stages)))
        for stage in stages:
            waiting: dict[Future[float], Task] = {}
            for task in stage:
                if task.path(parts).exists():
                    bar.advance(shown)
                else:
                    waiting[pool.submit(work, task, parts, options.quick, options.seed)] = task
            for future in as_completed(waiting):
                task = waiting[future]
                seconds = future.result()
                if not options.json:
                    bar.console.print(f"{task.model} {task.protocol:12} {task.method:18} {seconds:7.1f} s")
                bar.advance(shown)
    summary = write_report(parts, out, protocols(options.quick))
    print(json.dumps(summary) if options.json else (out / "tables.md").read_text())


def _check(given: Iterable[str], known: Iterable[str]) -> None:
    unknown = set(given) - set(known)
    if unknown:
        raise UsageError(f"unknown {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except UsageError as error:
        raise SystemExit(f"error: {error}") from None
