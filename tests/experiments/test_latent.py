"""The study of latent codes: its L-BFGS finds codes, its budget is what the solver spends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adrgd.latent import reconstruct

HERE = Path(__file__).resolve().parents[2] / "experiments" / "latent"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(HERE))
    import study

    yield study
    for name in ("study", "generators"):
        sys.modules.pop(name, None)


@pytest.fixture
def world(study: Any) -> Any:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 16), nn.Sigmoid(), nn.Unflatten(1, (1, 4, 4))]
    return study.World("small", nn.Sequential(*layers).eval().requires_grad_(False), 3)


def test_budget_is_what_graduated_gates_spend(study: Any, world: Any) -> None:
    for steps in (20, 50, 200):
        found = reconstruct(world.generator, study.made(world, 2, 0), steps=steps)
        assert int((found.forwards + found.backwards)[0]) == study.passes_of(steps)


def test_lbfgs_finds_codes_within_the_budget(study: Any, world: Any) -> None:
    error, history, spent = study.lbfgs(world, study.made(world, 4, 1), None, 430, 0)
    assert (error < 1e-4).all()
    assert history == sorted(history, reverse=True)
    assert spent <= 430


def test_report(study: Any, world: Any, tmp_path: Path) -> None:
    options = study.Options(folder=tmp_path, targets=3, steps=10, out=tmp_path)
    rows = []
    for protocol in "ab":
        key = {"world": "small", "protocol": protocol, "operator": "identity", "solver": "graduated"}
        rows.append(key | study.run(world, study.made(world, 3, 2), "graduated", None, options, None))
    study.write_report(rows, options)
    assert (tmp_path / "study.md").read_text().count("| small |") == 2
    assert (tmp_path / "study.svg").read_text().startswith("<?xml")
