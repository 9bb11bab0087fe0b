"""What was found on one model, shown to others."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from adrgd import Attack, ModelError, Threat, UsageError, attack_batch
from adrgd.attacks import shown_to, transfer
from adrgd.attacks.run import run_attack
from adrgd.data import Images
from adrgd.defences import Noisy

from .problems import Problem

CONFIG = {"model": "m", "data": "d", "seed": 0, "steps": 5, "restarts": 1,
          "threat": {"norm": "linf", "eps": 0.1, "target": None}, "solver": {"name": "graduated"}}  # fmt: skip


@pytest.fixture
def other() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 4)).eval().requires_grad_(False)


def test_each_model_says_what_it_predicts(problem: Problem, other: nn.Module) -> None:
    attack = Attack(threat=Threat(eps=0.1), steps=10, solver="pgd")
    models = {"net": problem.net, "other": other}
    found = transfer(models, problem.images, problem.labels, attack)
    assert list(found) == ["net", "other"]
    for source, shared in found.items():
        assert shared.names == ("net", "other")
        own = shared.broken[list(models).index(source)]
        assert torch.equal(own, attack_batch(models[source], problem.images, problem.labels, attack).success)
        assert torch.equal(shared.clean[1], other(problem.images).argmax(1))
    with pytest.raises(UsageError, match="at least one model"):
        transfer({}, problem.images, problem.labels, attack)
    alone = transfer(models, problem.images, problem.labels, attack, sources=["other"])
    assert torch.equal(alone["other"].adversarial, found["other"].adversarial)


def test_targets_are_what_counts_where_there_are_some(problem: Problem, other: nn.Module) -> None:
    attack = Attack(threat=Threat(eps=0.1, target="next"), steps=10, solver="pgd")
    shared = transfer({"net": problem.net, "other": other}, problem.images, problem.labels, attack)["net"]
    assert torch.equal(shared.broken[1], shared.adversarial[1] == (problem.labels + 1) % 4)


def test_a_run_keeps_and_shows_it(problem: Problem, other: nn.Module, tmp_path: Path) -> None:
    images = Images(problem.images, problem.labels, torch.arange(40), None, "")
    attack = Attack(threat=Threat(eps=0.1), steps=5)
    summary = run_attack(
        problem.net, images, attack, tmp_path / "run", config=CONFIG, judges={"same": problem.net, "other": other}
    )
    same, _ = summary["judges"]
    assert same["success_rate"] == summary["success_rate"]
    assert same["clean_accuracy"] == summary["clean_accuracy"]
    table = pq.read_table(tmp_path / "run" / "judges.parquet").to_pydict()
    assert len(table["broken"]) == 80
    assert sum(table["broken"][:40]) == same["broken"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Shown to other models" in page


def test_bad_judges_are_named(problem: Problem) -> None:
    x, labels = problem.images, problem.labels
    with pytest.raises(ModelError, match="noisy cannot judge"):
        shown_to({"noisy": Noisy(problem.net, 0.1)}, x, x, labels)
    with pytest.raises(UsageError, match="at least one model"):
        shown_to({}, x, x, labels)
    with pytest.raises(UsageError, match="found nobody"):
        transfer({"net": problem.net}, x, labels, Attack(), sources=["nobody"])
