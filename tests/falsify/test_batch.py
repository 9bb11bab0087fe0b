"""Lists of instances: reading them, working on them, going on, and what happens to those that fail."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from adrgd import UsageError
from adrgd.errors import RunFolderError, RunFolderWarning
from adrgd.falsify.batch import Batch
from adrgd.falsify.instances import InstanceList, read_instances
from adrgd.falsify.workers import run_jobs

from .problems import SUM_AND_DIFFERENCE, save_linear, vnnlib

pytest.importorskip("onnxruntime")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three instances: a counterexample, none, and a property that cannot be read."""
    for name in ("onnx", "vnnlib"):
        (tmp_path / "bench" / name).mkdir(parents=True)
    save_linear(tmp_path / "bench/onnx/net.onnx", SUM_AND_DIFFERENCE)
    for name, text in (("yes", vnnlib("(>= Y_0 1)")), ("no", vnnlib("(>= Y_0 3)")), ("bad", "(assert (>= Y_0")):
        (tmp_path / f"bench/vnnlib/{name}.vnnlib").write_text(text)
    seconds = {"yes": 120, "no": 120, "bad": 120}
    lines = [f"bench/onnx/net.onnx,bench/vnnlib/{name}.vnnlib,{limit}" for name, limit in seconds.items()]
    (tmp_path / "instances.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def listed(folder: Path) -> InstanceList:
    return read_instances(folder / "instances.csv")


def batch(folder: Path, out: str = "out", *, resume: bool = False, seed: int = 0) -> Batch:
    return Batch(listed(folder), folder / out, seed=seed, tolerance=0.0, config={}, resume=resume)


def test_a_batch_records_everything_and_goes_on_after_an_error(folder: Path) -> None:
    one = batch(folder)
    answers = {result.vnnlib.split("/")[-1]: result.answer for result in one.run()}
    assert answers == {"yes.vnnlib": "sat", "no.vnnlib": "unsat", "bad.vnnlib": "error"}
    summary = one.finish()
    assert (summary["sat"], summary["unsat"], summary["error"]) == (1, 1, 1)
    assert summary["folders"]["bench"]["sat"] == 1
    rows = pq.read_table(folder / "out/results.parquet").to_pylist()
    assert [row["answer"] for row in rows] == ["sat", "unsat", "error"]
    assert "vnnlib" in rows[2]["message"]
    assert (folder / "out" / rows[0]["counterexample"]).read_text().startswith("sat\n((X_0 ")
    assert "bad.vnnlib" in (folder / "out/summary.md").read_text()
    page = (folder / "out/report.html").read_text()
    for words in ('<a href="counterexamples/00000.txt">sat</a>', "bench/vnnlib/no.vnnlib", "is the file whole?"):
        assert words in page
    assert not (folder / "out/parts").exists()


def test_a_stopped_batch_goes_on_where_it_was(folder: Path) -> None:
    runner = batch(folder).run()
    first = next(runner)
    runner.close()
    again = batch(folder, resume=True)
    assert [one.index for one in again.pending()] == [1, 2]
    kept = (folder / "out/parts/00000.json").read_bytes()
    assert {result.index for result in again.run(2)} == {1, 2}
    assert (folder / "out/parts/00000.json").read_bytes() == kept
    assert again.finish()["instances"] == 3
    assert first.index == 0
    assert batch(folder, resume=True).pending() == []


def test_a_folder_of_another_run_is_refused(folder: Path) -> None:
    batch(folder)
    with pytest.raises(RunFolderError, match="not empty"):
        batch(folder)
    with pytest.raises(RunFolderError, match="seed: 0 there, 1 here"):
        batch(folder, seed=1, resume=True)
    (folder / "out/parts").mkdir()
    (folder / "out/parts/00000.json").write_text("{")
    with pytest.warns(RunFolderWarning, match="00000.json is not listed as a file of this run: it is set aside"):
        assert len(batch(folder, resume=True).pending()) == 3


def test_lists_with_a_header_and_packed_files(folder: Path) -> None:
    (folder / "bench/onnx/net.onnx").rename(folder / "bench/onnx/net.onnx.gz")
    (folder / "list.csv").write_text("tools, timeout ,vnnlib,onnx\n3,5,bench/vnnlib/yes.vnnlib,bench/onnx/net.onnx\n")
    (one,) = read_instances(folder / "list.csv", cap=2.0).instances
    assert (one.timeout, one.folder, one.network.name) == (2.0, "bench", "net.onnx.gz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("onnx,vnnlib,timeout,expected\na,b,1,holds\n", "sat, unsat or nothing .* found 'holds'"),
        ("", "found none"),
        ("a.onnx,b.vnnlib\n", "at line 1"),
        ("a.onnx,b.vnnlib,-1\n", "positive"),
        ("\xff", "a.onnx"),
    ],
)
def test_lists_that_cannot_be_read(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.onnx.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=message):
        read_instances(file)


def test_verdicts_are_compared_with_those_expected(folder: Path) -> None:
    lines = (folder / "instances.csv").read_text().splitlines()
    expected = {"yes": "sat", "no": "SAT", "bad": ""}  # the second one is wrong, on purpose
    lines = ["onnx,vnnlib,timeout,expected", *map(",".join, zip(lines, expected.values(), strict=True))]
    (folder / "instances.csv").write_text("\n".join(lines))
    one = batch(folder)
    assert [result.expected for result in one.run()] == ["sat", "sat", ""]
    summary = one.finish()
    assert (summary["expected"], summary["wrong"]) == (2, 1)
    text = (folder / "out/summary.md").read_text()
    assert "`bench/vnnlib/no.vnnlib`: expected sat" in text
    assert '<td class="broken">sat</td>' in (folder / "out/report.html").read_text()


def misbehave(job: str) -> str:
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "hang":
        time.sleep(60)
    return job


def test_processes_that_die_or_hang_lose_only_their_job() -> None:
    def limit(job: str) -> float:
        return 1.0 if job == "hang" else 120.0

    jobs = ["a", "die", "hang", "b"]
    done = {one.place: one for one in run_jobs(jobs, misbehave, processes=2, limit=limit)}
    assert {place: one.result for place, one in done.items()} == {0: "a", 1: None, 2: None, 3: "b"}
    assert "signal 9" in done[1].reason
    assert "did not end in time" in done[2].reason


def test_parts_hold_plain_json(folder: Path) -> None:
    runner = batch(folder).run()
    next(runner)
    runner.close()
    assert json.loads((folder / "out/parts/00000.json").read_text())["answer"] == "sat"


@pytest.mark.skipif(sys.platform == "win32", reason="counts open files as Unix does")
@pytest.mark.parametrize("allowed", [16, 20, 24])
def test_too_few_open_files_are_said_at_once(allowed: int, tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, before[1]))
    try:
        with pytest.raises(UsageError, match=rf"processes need about \d+ open files, .* allows {allowed}; .*fewer"):
            next(run_jobs(range(8), abs, processes=8, limit=float))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", refuse)
    with pytest.raises(UsageError, match=r"cannot start another process \(Resource temporarily unavailable\)"):
        next(run_jobs([1], abs, processes=1, limit=float))
