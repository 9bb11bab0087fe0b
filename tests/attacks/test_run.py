"""Run folders: what they hold, how a stopped run goes on, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from adrgd import RunFolderError
from adrgd.attacks import Attack
from adrgd.attacks import run as run_module
from adrgd.attacks.run import run_attack
from adrgd.attacks.summary import wilson
from adrgd.data import Images
from adrgd.errors import RunFolderWarning
from adrgd.runs.checksums import CHECKSUMS

from .problems import Problem

CONFIG = {
    "model": "test", "data": "test", "steps": 12, "restarts": 1, "seed": 0,
    "threat": {"norm": "linf", "eps": 0.06, "target": None}, "solver": {"name": "graduated"},
}  # fmt: skip


def run(problem: Problem, out: Path, **settings: Any) -> dict[str, Any]:
    images = Images(problem.images, problem.labels, torch.arange(len(problem.labels)), None, "test")
    settings = {"config": CONFIG, "batch_size": 8} | settings
    return run_attack(problem.net, images, Attack(**problem.attack), out, **settings)  # type: ignore[arg-type]


def contents(out: Path) -> tuple[list[dict[str, Any]], bytes]:
    rows = pq.read_table(out / "results.parquet").drop_columns(["seconds"]).to_pylist()
    return rows, (out / "adversarial.safetensors").read_bytes()


def test_everything_is_on_disk(problem: Problem, tmp_path: Path) -> None:
    summary = run(problem, tmp_path / "run")
    rows = pq.read_table(tmp_path / "run" / "results.parquet").to_pylist()
    assert [row["index"] for row in rows] == list(range(40))
    assert summary["images"] == 40
    assert summary["success_rate"] == sum(row["success"] for row in rows) / 40
    assert summary["robust_accuracy"] == pytest.approx(1 - summary["success_rate"])
    assert summary["clean_accuracy"] == 0.9
    assert summary["forward_passes"] == sum(row["forward_passes"] for row in rows)
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == CONFIG
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "adversarial.safetensors", "checksums.sha256", "config.yaml", "report.html", "results.parquet", "summary.json",
    ]  # fmt: skip


def test_report_stands_alone(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 36
    assert page.count("<svg") == 2
    assert 'src="http' not in page
    assert 'href="http' not in page


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_a_stopped_run_goes_on_with_the_same_result(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: int
) -> None:
    run(problem, tmp_path / "whole")
    calls: list[int] = []
    attack_batch = run_module.attack_batch

    def counted(*args: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == finished + 1:
            raise KeyboardInterrupt
        return attack_batch(*args, **settings)

    monkeypatch.setattr(run_module, "attack_batch", counted)
    with pytest.raises(KeyboardInterrupt):
        run(problem, tmp_path / "stopped")
    run(problem, tmp_path / "stopped", resume=True)
    assert len(calls) == 5 + 1
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_finished_run_is_not_repeated(problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(problem, tmp_path)
    monkeypatch.setattr(run_module, "attack_batch", None)
    assert run(problem, tmp_path, resume=True) == first


def test_progress_is_told_after_each_batch(problem: Problem, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    summary = run(problem, tmp_path, advance=lambda done, broken: told.append((done, broken)))
    assert [done for done, _ in told] == [8, 16, 24, 32, 40]
    assert told[-1][1] == summary["success_rate"] * 40


def test_a_folder_that_is_in_use_is_refused(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path)
    with pytest.raises(RunFolderError, match="not empty.*--resume"):
        run(problem, tmp_path)
    with pytest.raises(RunFolderError, match="other settings .*seed: 0 there, 7 here"):
        run(problem, tmp_path, resume=True, config=CONFIG | {"seed": 7})


def test_a_folder_of_something_else_is_refused(problem: Problem, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"no config\.yaml"):
        run(problem, tmp_path, resume=True)
    with pytest.raises(RunFolderError, match="is a file"):
        run(problem, tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["{unbalanced", "", "just words"])
def test_a_damaged_configuration(problem: Problem, tmp_path: Path, text: str) -> None:
    run(problem, tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunFolderError, match=r"config\.yaml was changed"):
        run(problem, tmp_path, resume=True, config=CONFIG | {"seed": 7})
    with pytest.warns(RunFolderWarning, match=r"config\.yaml does not match its checksum"):
        run(problem, tmp_path, resume=True)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == CONFIG


def test_a_damaged_part_is_named_and_made_again(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(problem, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(run_module.RunFolder, "merge", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(problem, tmp_path / "broken")
    part = tmp_path / "broken" / "parts" / "00000008.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.warns(RunFolderWarning, match=r"00000008\.parquet does not match its checksum: it is set aside"):
        summary = run(problem, tmp_path / "broken", resume=True)
    assert "00000008.parquet" in summary["set_aside"][0]
    assert (tmp_path / "broken/set-aside/parts/00000008.parquet").stat().st_size == 100
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_parts_of_a_version_without_a_column(problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(problem, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(run_module.RunFolder, "merge", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(problem, tmp_path / "old")
    part = tmp_path / "old" / "parts" / "00000008.parquet"
    pq.write_table(pq.read_table(part).drop_columns(["not_finite"]), part)
    (tmp_path / "old" / CHECKSUMS).unlink()
    with pytest.warns(RunFolderWarning, match="kept no checksums"):
        summary = run(problem, tmp_path / "old", resume=True)
    assert contents(tmp_path / "old") == contents(tmp_path / "whole")
    assert summary["success_rate"] == whole["success_rate"]


def test_wilson_interval() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
