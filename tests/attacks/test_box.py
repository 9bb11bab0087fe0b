"""Attacks without a box: perturbed images leave the data's range, and every place says so and keeps them apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adrgd import LinfBall, maximize
from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.attacks.checking import Subject, check_examples
from adrgd.attacks.matrix import Own, Peer, run_matrix
from adrgd.attacks.threat import LEAVES, NO_BOX
from adrgd.cli import run
from adrgd.data import Images, load_data
from adrgd.errors import DataError, RunFolderError, UsageError
from adrgd.objective import Misclassify
from adrgd.solvers import PGD, preset

from .problems import Problem

EPS = 0.06
WORDS = ["attack", "--model", "bundled:mnist-clean", "--data", "bundled:mnist", "--eps", "0.2", "--limit", "4"]
PGD5 = [*WORDS, "--solver", "pgd", "--steps", "5", "--json"]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_ball_alone_bounds(problem: Problem, norm: str) -> None:
    images = problem.images.clamp(0.02, 0.98)
    images[:, :, :2] = 0.0
    attack = Attack(threat=Threat(norm=norm, eps=EPS, **NO_BOX), solver=PGD(), steps=8, stop_at_success=False)  # type: ignore[arg-type]
    free = attack_batch(problem.net, images, problem.labels, attack)
    assert (free.distance <= EPS).all()
    assert free.adversarial.min() < 0
    kept = attack_batch(problem.net, images, problem.labels, replace(attack, threat=Threat(norm=norm, eps=EPS)))  # type: ignore[arg-type]
    assert kept.adversarial.min() == 0


def test_a_domain_without_a_box_is_the_same_attack(problem: Problem) -> None:
    """`LinfBall(x, eps)` in Python."""
    attack = Attack(threat=Threat(eps=EPS, **NO_BOX), solver=PGD(), steps=8)
    found = attack_batch(problem.net, problem.images, problem.labels, attack)
    alone = maximize(
        Misclassify(problem.net, problem.labels), problem.images, domain=LinfBall(problem.images, EPS), solver=PGD(),
        steps=8,
    )  # fmt: skip
    assert torch.equal(found.adversarial, alone.x)


def test_half_a_range_is_none() -> None:
    with pytest.raises(UsageError, match="both ends of the range or neither"):
        Threat(lower=None)


def test_pixels_that_change_at_will_need_a_box() -> None:
    with pytest.raises(UsageError, match="nothing but the box"):
        Threat(norm="l0", eps=3, **NO_BOX)


def test_images_that_are_no_numbers(problem: Problem) -> None:
    with pytest.raises(DataError, match="finite"):
        attack_batch(
            problem.net, torch.full_like(problem.images, torch.nan), problem.labels, Attack(threat=Threat(**NO_BOX))
        )


def test_a_run_says_so_and_is_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Summary, page, table; resuming with a box; looking at it again."""
    out = tmp_path / "free"
    assert run([*PGD5, "--box", "none", "--out", str(out)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["box"] is None
    assert summary["values"][0] < 0
    assert summary["config"]["threat"]["lower"] is None
    assert json.loads((out / "summary.json").read_text())["box_sentence"] == LEAVES
    page = (out / "report.html").read_text()
    assert ", no box" in page
    assert LEAVES.replace("'", "&#39;") in page
    for box, folder in (("data", out), ("none", tmp_path / "kept")):
        if box == "none":
            assert run([*PGD5, "--out", str(folder)]) == 0
            assert "box_sentence" not in json.loads(capsys.readouterr().out)
        assert run([*PGD5, "--box", box, "--out", str(folder), "--resume"]) == 1
        assert "holds a run with other settings (threat" in capsys.readouterr().err
    assert run([*PGD5[:-1], "--box", "none", "--out", str(tmp_path / "table")]) == 0
    assert "no box" in capsys.readouterr().out
    assert run(["check", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["examples"]["images"] == 4


def test_the_same_examples_are_outside_for_a_boxed_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "free"
    assert run([*PGD5, "--box", "none", "--out", str(out)]) == 0
    capsys.readouterr()
    subject = Subject.of({"threat": {"eps": 0.2}, "model": "m", "data": "d"})
    assert subject is not None
    images = load_data("bundled:mnist", limit=4)
    found = check_examples(out, subject.threat, images, lambda x: torch.zeros(len(x), 10), None)
    assert any("outside their ball or box" in words for words in found.findings)


def test_evaluations(problem: Problem, tmp_path: Path) -> None:
    """Cells, tables and resuming; peers that clip to [0, 1] by themselves are left out with a reason."""
    images = Images(problem.images, problem.labels, torch.arange(len(problem.labels)), None, "test")

    def evaluate(**given: Any) -> dict[str, Any]:
        peers = [Peer.named("torchattacks:PGD?steps=2"), Peer.named("foolbox:LinfPGD?steps=3")]
        return run_matrix(
            {"net": problem.net}, images, [Own(name="pgd", attack=Attack(solver=PGD(), steps=5)), *peers], tmp_path,
            eps=[EPS], **given,
        )  # fmt: skip

    free = evaluate(box="none", config={"data": "d"})
    assert free["box"] is None
    assert LEAVES in (tmp_path / "report.md").read_text()
    assert ", no box" in (tmp_path / "report.html").read_text()
    assert [cell["outside"] for cell in free["cells"]] == [0] * len(free["cells"])
    assert free["failures"][0]["attack"] == "torchattacks:PGD?steps=2"
    assert "without a box" in free["failures"][0]["reason"]
    with pytest.raises(RunFolderError, match="box: 'none' there, None here"):
        evaluate(resume=True, config={"data": "d"})
    cell = {"cell": {"eps": EPS, "model": "net"}, "norm": "linf", "target": None, "data": "d", "box": "none"}
    assert Subject.of(cell).threat.range is None  # type: ignore[union-attr]


def test_released_attack_prints_both_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recorded as released, and the best iterate; a batch of images side by side."""
    words = [*WORDS[:-1], "3", "--box", "none", "--solver", "adr:released-mnist-untargeted", "--norms", "estimated"]
    assert run([*words, "--steps", "8", "--out", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "success rate, best iterate" in out
    assert "success rate, recorded as" in out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert 0 <= summary["recorded_success_rate"] <= summary["success_rate"]
    assert "records</span>" in (tmp_path / "report.html").read_text()


def test_records_in_an_evaluation(problem: Problem, tmp_path: Path) -> None:
    images = Images(problem.images, problem.labels, torch.arange(len(problem.labels)), None, "test")
    own = Own(name="released", attack=Attack(solver=preset("released-mnist-untargeted"), steps=8, restarts=2))
    summary = run_matrix({"net": problem.net}, images, [own], tmp_path, eps=[EPS], config={"data": "d"})
    assert summary["cells"][0]["recorded_success_rate"] <= summary["cells"][0]["success_rate"]
    assert "| released, recorded as released |" in (tmp_path / "report.md").read_text()
