"""A whole list of instances, into a folder that a stopped run can go on with.

    config.yaml               everything that decides the result
    parts/INDEX.json          one finished instance each; gone once all are merged
    counterexamples/INDEX.txt the verdict and the counterexample of an instance, as `adrgd falsify --out` writes it
    results.parquet           one row an instance
    summary.md                counts by folder
    report.html               the same, and every instance

An instance counts as finished when its part exists, and that is written last.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adrgd.errors import sentence
from adrgd.falsify.instances import Instance, InstanceList
from adrgd.falsify.run import falsify
from adrgd.falsify.summary import markdown, report, summarise
from adrgd.falsify.workers import Done, run_jobs
from adrgd.files.reading import read_bytes, read_json, read_record, read_table
from adrgd.runs import open_run

TABLE = "results.parquet"
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
    proof_seconds: float = 0.0
    rounds: int = 0
    passes: int = 0
    nodes: int = 0
    proven: float = 0.0
    message: str = ""
    found_by: str = ""
    counterexample: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Job:
    """What a process needs to know to work on an instance."""

    instance: Instance
    seed: int
    tolerance: float
    prove: bool


class Batch:
    """A run over a list of instances.

    Args:
        out: its folder, created when missing; it is locked until `finish`, or as long as this object lives.
        config: what the run is; written to a new folder, compared with an old one.
        resume: go on with what is there instead of refusing it.

    Raises:
        RunFolderError: the folder holds another run, or a damaged one, or anything at all without `resume`.
    """

    def __init__(
        self, listed: InstanceList, out: Path, *, seed: int, tolerance: float, config: dict[str, Any], resume: bool,
        prove: bool = True,
    ) -> None:  # fmt: skip
        self.instances, self.out, self.seed, self.tolerance = listed.instances, out, seed, tolerance
        self.prove = prove
        self.config = config = config | {
            "instances": listed.digest,
            "seed": seed,
            "tolerance": tolerance,
            "prove": prove,
        }
        self.folder = open_run(out, config, resume=resume)
        if self.folder.has(TABLE):
            self._reopen()

    def pending(self) -> list[Instance]:
        """The instances that are not finished."""
        return [] if self.folder.has(TABLE) else [one for one in self.instances if not self._done(one.index)]

    def run(self, processes: int = 1) -> Generator[Result]:
        """Work on all that is not finished; every result is on disk before it is yielded."""
        try:
            jobs = [Job(instance, self.seed, self.tolerance, self.prove) for instance in self.pending()]
            for done in run_jobs(jobs, solve, processes=processes, limit=lambda job: job.instance.timeout + GRACE):
                result, text = done.result or _lost(jobs[done.place].instance, done)
                if text:
                    result = dataclasses.replace(result, counterexample=f"counterexamples/{result.index:05d}.txt")
                    self.folder.write_text(result.counterexample, text + "\n")
                self._save(dataclasses.asdict(result))
                yield result
        except Exception as error:
            self.folder.close(error)
            raise

    def finish(self) -> dict[str, Any]:
        """Join all results into the final files, and return the summary."""
        import pyarrow as pa  # takes longer to import than many an instance to solve
        import pyarrow.parquet as pq

        with self.folder as folder:
            parts = [_part(instance.index) for instance in self.instances]
            if not folder.has(TABLE):
                table = pa.Table.from_pylist([self._read(instance.index) for instance in self.instances])
                with folder.write(TABLE) as stream:
                    pq.write_table(table, stream)
            rows = folder.read(TABLE, read_table).to_pylist()
            summary = summarise(rows) | {"out": str(self.out)} | folder.remarks()
            folder.write_text("summary.md", markdown(summary, rows))
            folder.write_text("report.html", report(summary, rows, self.config))
            folder.remove([part for part in parts if folder.has(part)])
        return summary

    def _reopen(self) -> None:
        """A table whose counterexamples are not all sound is taken apart again, so that those are found anew."""
        rows = self.folder.read(TABLE, read_table).to_pylist()
        sound = [row for row in rows if not row["counterexample"] or self.folder.has(row["counterexample"])]
        if len(sound) < len(rows):
            for row in sound:
                self._save(row)
            self.folder.remove([TABLE])

    def _save(self, row: dict[str, Any]) -> None:
        self.folder.write_text(_part(row["index"]), json.dumps(row) + "\n")

    def _done(self, index: int) -> bool:
        """Whether a result is there, together with its counterexample."""
        if not self.folder.has(_part(index)):
            return False
        found = self._read(index)["counterexample"]
        return not found or self.folder.has(found)

    def _read(self, index: int) -> dict[str, Any]:
        def read(file: Path) -> dict[str, Any]:
            return dataclasses.asdict(read_record(Result, read_json(read_bytes(file, "config"))))

        return self.folder.read(_part(index), read)


def _part(index: int) -> str:
    return f"parts/{index:05d}.json"


def solve(job: Job) -> tuple[Result, str]:
    """The result of one instance, and the text of its counterexample if there is one."""
    one = job.instance
    started = time.monotonic()
    try:
        verdict = falsify(
            one.network, one.prop, timeout=one.timeout, seed=job.seed, tolerance=job.tolerance, prove=job.prove
        )
    except Exception as error:  # an instance that fails must not stop the others
        return _row(one, "error", time.monotonic() - started, message=sentence(error)), ""
    result = _row(
        one, verdict.answer, verdict.seconds, message=verdict.message, load_seconds=verdict.load_seconds,
        search_seconds=verdict.search_seconds, proof_seconds=verdict.proof_seconds, rounds=verdict.rounds,
        passes=verdict.passes, nodes=verdict.nodes, proven=verdict.proven, found_by=verdict.found_by,
    )  # fmt: skip
    return result, verdict.text() if verdict.counterexample else ""


def _lost(one: Instance, done: Done[Any]) -> tuple[Result, str]:
    return _row(one, "error", done.seconds, message=done.reason), ""


def _row(one: Instance, answer: str, seconds: float, **more: Any) -> Result:
    return Result(
        one.index, one.folder, one.onnx, one.vnnlib, one.timeout, answer, seconds, expected=one.expected, **more
    )
