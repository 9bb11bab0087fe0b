"""A whole list of instances, into a folder that a stopped run can go on with.

    config.yaml               everything that decides the result
    parts/INDEX.json          one finished instance each; gone once all are merged
    counterexamples/INDEX.txt the verdict and the counterexample of an instance, as `adrgd falsify --out` writes it
    results.parquet           one row an instance
    summary.md

An instance counts as finished when its part exists, and that is written last.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adrgd.errors import RunFolderError
from adrgd.falsify.instances import Instance, InstanceList
from adrgd.falsify.run import falsify, sentence
from adrgd.falsify.summary import markdown, summarise
from adrgd.falsify.workers import Done, run_jobs
from adrgd.files import write_text, write_with
from adrgd.runs import open_run

GRACE = 60.0  # seconds beyond its timeout after which an instance is given up: starting a process takes some


@dataclass(frozen=True)
class Result:
    """One row of the table; `counterexample` is its file inside the folder, or empty."""

    index: int
    folder: str
    onnx: str
    vnnlib: str
    timeout: float
    answer: str
    seconds: float
    load_seconds: float = 0.0
    search_seconds: float = 0.0
    rounds: int = 0
    passes: int = 0
    message: str = ""
    counterexample: str = ""


@dataclass(frozen=True)
class Job:
    """What a process needs to know to work on an instance."""

    instance: Instance
    seed: int
    tolerance: float


class Batch:
    """A run over a list of instances.

    Args:
        out: its folder, created when missing.
        config: what the run is; written to a new folder, compared with an old one.
        resume: go on with what is there instead of refusing it.

    Raises:
        RunFolderError: the folder holds another run, or a damaged one, or anything at all without `resume`.
    """

    def __init__(
        self, listed: InstanceList, out: Path, *, seed: int, tolerance: float, config: dict[str, Any], resume: bool
    ) -> None:
        self.instances, self.out, self.seed, self.tolerance = listed.instances, out, seed, tolerance
        open_run(out, config | {"instances": listed.digest, "seed": seed, "tolerance": tolerance}, resume=resume)
        self.parts, self.table = out / "parts", out / "results.parquet"
        if not self.table.exists():
            self.parts.mkdir(exist_ok=True)
            (out / "counterexamples").mkdir(exist_ok=True)

    def pending(self) -> list[Instance]:
        """The instances that are not finished."""
        return [] if self.table.exists() else [one for one in self.instances if not self._part(one.index).exists()]

    def run(self, processes: int = 1) -> Generator[Result]:
        """Work on all that is not finished; every result is on disk before it is yielded."""
        jobs = [Job(instance, self.seed, self.tolerance) for instance in self.pending()]
        for done in run_jobs(jobs, solve, processes=processes, limit=lambda job: job.instance.timeout + GRACE):
            result, text = done.result or _lost(jobs[done.place].instance, done)
            if text:
                result = dataclasses.replace(result, counterexample=f"counterexamples/{result.index:05d}.txt")
                write_text(self.out / result.counterexample, text + "\n")
            write_text(self._part(result.index), json.dumps(dataclasses.asdict(result)) + "\n")
            yield result

    def finish(self) -> dict[str, Any]:
        """Join all results into the final files, and return the summary."""
        import pyarrow as pa  # takes longer to import than many an instance to solve
        import pyarrow.parquet as pq

        if not self.table.exists():
            rows = [self._read(instance.index) for instance in self.instances]
            write_with(self.table, lambda path: pq.write_table(pa.Table.from_pylist(rows), path))
        rows = pq.read_table(self.table).to_pylist()
        summary = summarise(rows) | {"out": str(self.out)}
        write_text(self.out / "summary.md", markdown(summary, rows))
        shutil.rmtree(self.parts, ignore_errors=True)
        return summary

    def _part(self, index: int) -> Path:
        return self.parts / f"{index:05d}.json"

    def _read(self, index: int) -> dict[str, Any]:
        file = self._part(index)
        try:
            row: dict[str, Any] = dataclasses.asdict(Result(**json.loads(file.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            raise RunFolderError(
                f"{file} is damaged or missing ({type(error).__name__}); delete it and run again with --resume"
            ) from error
        return row


def solve(job: Job) -> tuple[Result, str]:
    """The result of one instance, and the text of its counterexample if there is one."""
    one = job.instance
    started = time.monotonic()
    try:
        verdict = falsify(one.network, one.prop, timeout=one.timeout, seed=job.seed, tolerance=job.tolerance)
    except Exception as error:  # an instance that fails must not stop the others
        return _row(one, "error", time.monotonic() - started, message=sentence(error)), ""
    result = _row(
        one, verdict.answer, verdict.seconds, message=verdict.message, load_seconds=verdict.load_seconds,
        search_seconds=verdict.search_seconds, rounds=verdict.rounds, passes=verdict.passes,
    )  # fmt: skip
    return result, verdict.text() if verdict.counterexample else ""


def _lost(one: Instance, done: Done[Any]) -> tuple[Result, str]:
    return _row(one, "error", done.seconds, message=done.reason), ""


def _row(one: Instance, answer: str, seconds: float, **more: Any) -> Result:
    return Result(one.index, one.folder, one.onnx, one.vnnlib, one.timeout, answer, seconds, **more)
