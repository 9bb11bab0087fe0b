"""experiments/activations: every network can be made and attacked; the page says what the rows say."""

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adrgd.models.architectures import ARCHITECTURES

HERE = Path(__file__).resolve().parents[2] / "experiments" / "activations"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(HERE)
    for name in ("entrants", "table"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return runpy.run_path(str(HERE / "run.py"))


def test_every_network_has_a_training() -> None:
    train = runpy.run_path(str(HERE / "train.py"))
    assert train["TRAININGS"].keys() == set(train["Net"].__args__)
    for name in train["TRAININGS"]:
        training = train["training"](name, "FOLDER")
        assert ARCHITECTURES[training.model].classes == 10
        assert training.test.endswith("split=test")


def test_a_small_evaluation(run: dict[str, Any], tmp_path: Path) -> None:
    options = run["Options"](
        only=("mnist-convnext",), limit=6, seeds=2, passes=12, budget=60, peers=("adv-lib:apgd?n_iter=2",),
        runs=tmp_path / "runs", out=tmp_path / "out",
    )  # fmt: skip
    pytest.importorskip("adv_lib")
    run["main"](options)
    first = (tmp_path / "out" / "attacks.md").read_text()
    for word in ("mnist-convnext", "graduated-secant", "standard", "APGD pair", "6 test images"):
        assert word in first
    run["main"](options)  # all of it is there already
    assert (tmp_path / "out" / "attacks.md").read_text() == first


def test_equal_passes(run: dict[str, Any]) -> None:
    taking_part = {entrant.name: entrant for entrant in run["entrants"](run["Options"](), 0)}
    assert taking_part["graduated"].attack.steps == 100
    assert taking_part["pgd, from 2 eps"].attack.steps == taking_part["graduated-secant"].attack.steps == 107
    later = {entrant.name for entrant in run["entrants"](run["Options"](), 1)}
    assert taking_part.keys() - later == {  # a seed is nothing to them, or they take too long
        "pgd, from 2 eps", "pgd, from eps", "pgd, from eps/2", *run["PEERS"]
    }  # fmt: skip


def test_counts(run: dict[str, Any]) -> None:
    """Two attacks of a pair share their images and add their passes; the best schedule is the best on average."""
    table = sys.modules["table"]
    one, other = run["PEERS"][1:]
    rows = [("a", one, 0, 0, True), ("a", one, 0, 1, False), ("a", other, 0, 0, True), ("a", other, 0, 1, True)]
    rows += [("a", "pgd, from eps", 0, 0, True), ("a", "pgd, from eps", 0, 1, False)]
    rows += [("a", "pgd, from 2 eps, random start", seed, 0, seed == 0) for seed in (0, 1)]
    columns = dict(
        zip(("network", "attack", "seed", "index", "success"), map(np.array, zip(*rows, strict=True)), strict=True)
    )
    columns |= {name: np.full(len(rows), 3) for name in ("forward_passes", "backward_passes")}
    parts = table.combined(columns)
    assert list(parts) == ["pgd", "adv-lib's APGD pair"]
    assert table.broken(parts["adv-lib's APGD pair"]) == [2]
    assert table.passes(parts["adv-lib's APGD pair"]) == 12
    assert set(parts["pgd"]["attack"]) == {"pgd, from eps"}
    assert table.broken(parts["pgd"]) == [1]
