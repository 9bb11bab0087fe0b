"""Certified images: none of them can be broken, and what a run says of them."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from adrgd import UsageError
from adrgd.attacks import Attack, Certifier, Threat, attack_batch
from adrgd.attacks.run import run_attack
from adrgd.data import Images
from adrgd.names import Norm

from .problems import Problem
from .test_run import CONFIG


def certified(problem: Problem, threat: Threat, **settings: Any) -> list[str]:
    certifier = Certifier(problem.net, threat)
    return [
        certifier.certify(x, int(y), seconds=20.0, **settings).verdict
        for x, y in zip(problem.images, problem.labels, strict=True)
    ]


@pytest.mark.parametrize(
    ("norm", "eps"), [("linf", 0.001), ("linf", 0.03), ("linf", 0.06), ("l2", 0.003), ("l2", 0.08), ("l1", 0.15)]
)
def test_nothing_certified_breaks_and_nothing_is_left_open(norm: Norm, eps: float, problem: Problem) -> None:
    threat = Threat(norm=norm, eps=eps)
    words = certified(problem, threat)
    attack = Attack(threat=threat, steps=60, restarts=4)
    found = attack_batch(problem.net, problem.images, problem.labels, attack, index=torch.arange(len(words)))
    assert not any(word == "certified" for word, broken in zip(words, found.success.tolist(), strict=True) if broken)
    assert words.count("undecided") <= 1
    if eps < 0.01:
        assert words.count("certified") >= 34


def test_what_the_proof_comes_upon_breaks_the_model(problem: Problem) -> None:
    threat = Threat(eps=0.2)
    certifier = Certifier(problem.net, threat)
    for x, y in zip(problem.images[:6], problem.labels[:6].tolist(), strict=True):
        found = certifier.certify(x, y, seconds=20.0)
        if found.adversarial:
            moved = torch.tensor(found.adversarial).view_as(x)
            assert found.verdict == "broken"
            assert (moved - x).abs().max() <= 0.2
            assert 0 <= moved.min() <= moved.max() <= 1
            assert int(problem.net(moved[None])[0].argmax()) != y


def test_targets(problem: Problem) -> None:
    """An image that no class replaces is not turned into a given one either."""
    threat = Threat(eps=0.01)
    for verdict, targeted in zip(certified(problem, threat), certified(problem, threat, target=0), strict=True):
        if verdict == "certified":
            assert targeted in ("certified", "broken")


def test_a_run_with_certificates(problem: Problem, tmp_path: Path) -> None:
    images = Images(problem.images, problem.labels, torch.arange(len(problem.labels)), None, "test")
    seen: list[tuple[int, int]] = []

    def run(**more: Any) -> dict[str, Any]:
        attack = Attack(**problem.attack)  # type: ignore[arg-type]
        return run_attack(problem.net, images, attack, tmp_path / "run", config=CONFIG, certify=20.0, **more)

    class StopError(Exception):
        pass

    def stop(done: int, proven: int) -> None:
        seen.append((done, proven))
        if len(seen) == 10:
            raise StopError

    with pytest.raises(StopError):
        run(certified=stop)
    broken = pq.read_table(tmp_path / "run/results.parquet")["success"].to_pylist()[:10]
    assert len(list((tmp_path / "run/parts").glob("certificate-*.json"))) == broken.count(False)
    summary = run(resume=True)
    known = summary["certificates"]
    assert known["broken"] + known["certified"] + known["undecided"] == summary["images"] == 40
    assert known["robust_accuracy_at_least"] == known["certified"] / 40
    assert known["robust_accuracy_at_most"] <= summary["robust_accuracy"]
    rows = pq.read_table(tmp_path / "run/certificates.parquet").to_pylist()
    assert [row["index"] for row in rows] == list(range(40))
    assert not (tmp_path / "run/parts").exists()
    assert json.loads((tmp_path / "run/summary.json").read_text())["certificates"] == known
    assert f"{known['certified']} certified" in (tmp_path / "run/report.html").read_text()
    assert run(resume=True)["certificates"] == known


class Smooth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).lgamma()


def test_networks_without_bounds_say_why() -> None:
    found = Certifier(Smooth().eval(), Threat(eps=0.01)).certify(torch.tensor([[0.2, 0.9]]), 1, seconds=5.0)
    assert found.verdict == "undecided"
    assert "lgamma" in found.reason


@pytest.mark.parametrize(("threat", "seconds"), [(Threat(norm="l0", eps=1), 1.0), (Threat(), 0.0), (Threat(), -1.0)])
def test_what_cannot_be_certified(threat: Threat, seconds: float, problem: Problem) -> None:
    with pytest.raises(UsageError, match=r"linf|seconds"):
        Certifier(problem.net, threat).certify(problem.images[0], 0, seconds=seconds)
