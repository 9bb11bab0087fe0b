"""Smallest changes of a data set: the folder, its figures, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from adrgd.attacks import Minimum
from adrgd.attacks.smallest import run as minimum_run
from adrgd.attacks.smallest.run import curve, run_minimum
from adrgd.data import Images

from .problems import Problem

CONFIG = {
    "model": "test", "data": "test", "norm": "l2", "passes": 120, "seed": 0, "threat": {"target": None},
    "solver": {"name": "graduated"},
}  # fmt: skip


def run(problem: Problem, out: Path, **settings: Any) -> dict[str, Any]:
    images = Images(problem.images[:9], problem.labels[:9], torch.arange(9), None, "test")
    return run_minimum(problem.net, images, Minimum(passes=120), out, config=CONFIG, batch_size=3, **settings)


def test_the_folder_holds_each_distance(problem: Problem, tmp_path: Path) -> None:
    summary = run(problem, tmp_path)
    table = pq.read_table(tmp_path / "results.parquet").to_pydict()
    distance = np.array(table["distance"])
    assert summary["images"] == 9 == len(distance)
    assert summary["found"] == np.isfinite(distance).sum() == sum(table["success"])
    assert summary["broken_already"] == (distance == 0).sum()
    assert summary["median"] == pytest.approx(np.median(distance))
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 1
    assert "Robust accuracy by radius" in page


def test_a_stopped_run_goes_on(problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(problem, tmp_path / "whole")
    real, calls = minimum_run.smallest_changes, []

    def stopping(*args: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(minimum_run, "smallest_changes", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(problem, tmp_path / "stopped")
    again = run(problem, tmp_path / "stopped", resume=True)
    assert len(calls) == 4
    assert again["curve"] == whole["curve"]


def test_the_curve_falls_from_what_is_right_to_what_stands() -> None:
    eps, share = curve(np.array([0.0, 1.0, 2.0, np.inf]), counted=True)
    assert (eps, share) == ([0.0, 1.0, 2.0, 3.0], [0.75, 0.5, 0.25, 0.25])
    eps, share = curve(np.array([0.0, 1.0, 2.0, np.inf]), counted=False)
    assert (share[0], share[-1]) == (0.75, 0.25)
    assert share == sorted(share, reverse=True)
    assert curve(np.array([np.inf]), counted=False)[1][-1] == 1
