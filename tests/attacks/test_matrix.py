"""A whole evaluation: what it writes, how it goes on, and what may fail without stopping it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from adrgd import PGD, AdrgdWarning, MissingExtraError, RunFolderError, UsageError
from adrgd.attacks import Attack, Standard, Threat, attack_batch
from adrgd.attacks.case import Case
from adrgd.attacks.matrix import Noise, Own, run_matrix
from adrgd.attacks.matrix.figures import by_passes
from adrgd.attacks.matrix.judge import Checked
from adrgd.attacks.matrix.peers import Peer
from adrgd.data import Images

from .problems import Problem

EPS = (0.03, 0.06)
STEPS = 6


def solver(name: str, **settings: Any) -> Own:
    return Own.named(name, Attack(**{"steps": STEPS, **settings}))


def run(problem: Problem, out: Path, *, models: dict[str, nn.Module] | None = None, **settings: Any) -> dict[str, Any]:
    images = Images(problem.images, problem.labels, torch.arange(len(problem.labels)), None, "test")
    entrants = settings.pop("entrants", (solver("graduated"), solver("pgd"), Noise(points=8)))
    settings = {"eps": EPS[1:], "batch_size": 16, "config": {"data": "test"}} | settings
    return run_matrix(models or {"net": problem.net}, images, entrants, out, **settings)


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "results.parquet").drop_columns(["seconds"]).to_pylist()
    return found


@dataclass(frozen=True)
class Stub(Peer):
    """A peer that does what a test wants."""

    act: Callable[[Case], Checked] | None = None

    def find(self) -> None:
        """There it is."""

    def __call__(self, case: Case) -> Checked:
        assert self.act is not None
        return self.act(case)

    def settings(self) -> dict[str, Any]:
        return {}


def stub(act: Callable[[Case], Checked], name: str = "stub") -> Stub:
    return Stub(name=name, library="foolbox", kind="stub", act=act)


def test_everything_is_on_disk(problem: Problem, tmp_path: Path) -> None:
    summary = run(problem, tmp_path / "run", eps=EPS)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "cells", "checksums.sha256", "config.yaml", "report.html", "report.md", "results.parquet", "summary.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary
    table = rows(tmp_path / "run")
    assert len(table) == 40 * 2 * 3
    for union in summary["unions"]:
        mine = [row for row in table if row["eps"] == union["eps"]]
        broken = {row["index"] for row in mine if row["success"]}
        assert union["success_rate"] == len(broken) / 40
        assert union["robust_accuracy"] == pytest.approx(1 - union["success_rate"])
        low, high = union["robust_interval_95"]
        assert low < union["robust_accuracy"] < high
    for cell in summary["cells"]:
        mine = [row for row in table if (row["eps"], row["attack"]) == (cell["eps"], cell["attack"])]
        assert cell["success_rate"] == sum(row["success"] for row in mine) / 40
        assert cell["forward_passes"] == sum(row["forward_passes"] for row in mine)
        assert cell["outside"] == 0


def test_pages_say_the_same(problem: Problem, tmp_path: Path) -> None:
    summary = run(problem, tmp_path, eps=EPS)
    text, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    for cell in summary["cells"]:
        assert f"{cell['success_rate']:.4f}" in text
        assert f"{cell['success_rate']:.4f}" in page
    assert page.count("<svg") == 2
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert "Indicators of attack failure" in text


def test_our_cells_are_what_an_attack_finds(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path, entrants=(solver("pgd"),), eps=(0.06,), target="random")
    attack = Attack(threat=Threat(eps=0.06, target="random"), solver=PGD(), steps=STEPS)
    result = attack_batch(problem.net, problem.images, problem.labels, attack)
    table = rows(tmp_path)
    for name in ("target", "success", "first_success", "forward_passes", "adversarial_prediction"):
        assert [row[name] for row in table] == getattr(result, name).tolist(), name


def test_an_interrupted_evaluation_goes_on_to_the_same_result(problem: Problem, tmp_path: Path) -> None:
    noise, left = Noise(points=8), [2]

    def act(case: Case) -> Checked:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return noise(case)

    entrants = (solver("pgd"), stub(act))
    with pytest.raises(KeyboardInterrupt):
        run(problem, tmp_path / "stopped", entrants=entrants)
    assert not (tmp_path / "stopped" / "results.parquet").exists()
    run(problem, tmp_path / "stopped", entrants=entrants, resume=True)
    assert left[0] == 2 - 2 - 2, "one batch was done and one was tried; two of three were left"
    left[0] = 1000
    run(problem, tmp_path / "whole", entrants=entrants)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


def test_an_evaluation_grows(problem: Problem, tmp_path: Path) -> None:
    """More radii and attacks in the same folder: what is there is not repeated."""
    calls: list[int] = []

    def act(case: Case) -> Checked:
        calls.append(len(case.clean))
        return Noise(points=4)(case)

    run(problem, tmp_path, entrants=(stub(act),), eps=(0.03,))
    before = len(calls)
    summary = run(problem, tmp_path, entrants=(stub(act), solver("pgd")), eps=EPS, resume=True)
    assert len(calls) == 2 * before
    assert len(summary["cells"]) == 4
    with pytest.raises(RunFolderError, match="not empty"):
        run(problem, tmp_path)
    with pytest.raises(RunFolderError, match="other settings .*seed"):
        run(problem, tmp_path, resume=True, seed=1)
    with pytest.raises(RunFolderError, match="other settings .*settings"):
        run(problem, tmp_path, entrants=(solver("pgd", steps=7),), resume=True)


def test_what_fails_is_recorded_and_the_rest_goes_on(problem: Problem, tmp_path: Path) -> None:
    def crash(case: Case) -> Checked:
        raise RuntimeError("no such kernel\nand more")

    summary = run(problem, tmp_path, entrants=(stub(crash), solver("pgd")), eps=EPS)
    assert [failure["reason"] for failure in summary["failures"]] == ["RuntimeError: no such kernel"] * 2
    assert [cell["attack"] for cell in summary["cells"]] == ["pgd", "pgd"]
    for page in ("report.md", "report.html"):
        assert "no such kernel" in (tmp_path / page).read_text()
    again = run(problem, tmp_path, entrants=(stub(Noise(points=4)), solver("pgd")), eps=EPS, resume=True)
    assert not again["failures"]


def test_nothing_has_results(problem: Problem, tmp_path: Path) -> None:
    def crash(case: Case) -> Checked:
        raise RuntimeError

    summary = run(problem, tmp_path, entrants=(stub(crash),))
    assert summary["cells"] == summary["unions"] == []
    assert "Attacks without results" in (tmp_path / "report.md").read_text()


def test_peers_are_looked_for_before_anything_runs(problem: Problem, tmp_path: Path) -> None:
    nowhere = Peer.named("adv-lib:pgd")
    with pytest.raises(MissingExtraError, match="none of the peers can be run.* adv-lib:pgd: expected adv-lib:apgd"):
        run(problem, tmp_path / "run", entrants=(nowhere, solver("pgd")))
    assert not (tmp_path / "run").exists()
    with pytest.warns(AdrgdWarning, match=r"1 of 2 peers cannot be run, and the rest goes on: adv-lib:pgd"):
        summary = run(problem, tmp_path / "run", entrants=(stub(Noise(points=3)), nowhere))
    assert [cell["attack"] for cell in summary["cells"]] == ["stub"]
    assert [failure["attack"] for failure in summary["failures"]] == ["adv-lib:pgd"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"eps": ()}, "at least one eps"),
        ({"eps": (0.1, 0.1)}, "each once"),
        ({"eps": (-1.0,)}, "eps must be positive"),
        ({"entrants": ()}, "at least one attack"),
        ({"entrants": (Noise(), Noise(points=3))}, "each once"),
        ({"target": "best"}, "unknown target"),
    ],
)
def test_requests_that_make_no_sense(problem: Problem, tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        run(problem, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_our_own_solver_s_usage_errors_stop_everything(problem: Problem, tmp_path: Path) -> None:
    labels = problem.labels.clone()
    labels[0] = 9
    with pytest.raises(UsageError, match="labels must lie between 0 and 3"):
        run(Problem(problem.net, problem.images, labels), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes(problem: Problem, tmp_path: Path, classes: int) -> None:
    """Our solvers work; the losses that need more classes say so."""
    net = nn.Sequential(problem.net, nn.Linear(4, classes)).eval().requires_grad_(False)
    few = Problem(net, problem.images, net(problem.images).argmax(1))

    def crash(case: Case) -> Checked:
        raise IndexError("index 3 is out of bounds")

    summary = run(few, tmp_path / "a", entrants=(solver("graduated", loss="margin"), Noise(points=4), stub(crash)))
    assert len(summary["cells"]) == 2
    assert f"the model has {classes} classes" in summary["failures"][0]["reason"]
    with pytest.warns(UserWarning, match="DLR needs at least 4 classes"):
        run(few, tmp_path / "b", entrants=(solver("pgd", loss="dlr"),), eps=(0.06,))


def test_saturated_logits_are_noticed(problem: Problem, tmp_path: Path) -> None:
    class Saturated(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = problem.net(x) * 1e4
            return logits

    summary = run(problem, tmp_path, models={"net": Saturated().eval(), "sound": problem.net})
    seen = {(sign["name"], sign["model"]) for sign in summary["indicators"] if sign["triggered"]}
    assert ("zero gradients", "net") in seen
    assert ("zero gradients", "sound") not in seen
    assert "**zero gradients**" in (tmp_path / "report.md").read_text()


def test_passes_until_broken(problem: Problem, tmp_path: Path) -> None:
    """With and without stopping, PGD breaks an image after the same number of passes; the curve ends at the rate."""
    whole = {}
    for stop in (True, False):
        entrants = (solver("pgd", stop_at_success=stop),)
        run(problem, tmp_path / str(stop), entrants=entrants, eps=(0.06,))
        whole[stop] = [row["broken_after"] for row in rows(tmp_path / str(stop))]
    assert whole[True] == pytest.approx(whole[False], abs=1)
    after = np.array(whole[True])
    curve = by_passes({"broken_after": after}, [1, 5, 1000])
    assert curve == sorted(curve)
    assert curve[-1] == (after >= 0).mean()


def test_a_solver_s_own_settings() -> None:
    own = Own.named("pgd?steps=9&loss=margin&restarts=3", Attack(steps=5))
    assert (own.attack.steps, own.attack.loss, own.attack.restarts) == (9, "margin", 3)
    for spec in ("pgd?steps=0", "pgd?steps=many", "pgd?loss=magic", "pgd?pace=1", "magic"):
        with pytest.raises(UsageError):
            Own.named(spec, Attack())


def test_the_ensemble_takes_part_with_its_own_budget(problem: Problem, tmp_path: Path) -> None:
    own = Own.named("standard?budget=90", Attack(steps=STEPS, stop_at_success=False))
    assert own.attack.solver == Standard(budget=90)
    summary = run(problem, tmp_path / "out", entrants=(own, solver("graduated")))
    (cell, _) = summary["cells"]
    assert cell["forward_passes"] + cell["backward_passes"] <= 90 * summary["images"]
    with pytest.raises(UsageError, match="steps"):
        Own.named("standard?steps=5", Attack())
    with pytest.raises(UsageError, match="budget must be a whole number"):
        Own.named("standard?budget=no", Attack())


def test_noise_is_the_best_of_its_points(problem: Problem, tmp_path: Path) -> None:
    few, many = (run(problem, tmp_path / str(n), entrants=(Noise(points=n),), eps=(0.06,)) for n in (2, 30))
    assert few["cells"][0]["forward_passes"] == 2 * 40
    assert many["cells"][0]["mean_loss"] > few["cells"][0]["mean_loss"]


def test_values_that_are_not_finite_are_a_sign_of_their_own_cell(problem: Problem, tmp_path: Path) -> None:
    class Breaking(nn.Module):
        """Infinite logits off the clean images."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            known = (x.flatten(1)[:, None] == problem.images.flatten(1)[None]).all(2).any(1)
            logits: torch.Tensor = problem.net(x) + torch.where(known, 0.0, torch.inf)[:, None]
            return logits

    with pytest.warns(AdrgdWarning, match="was not finite"):
        summary = run(problem, tmp_path, models={"net": Breaking().eval()}, entrants=(solver("pgd"),), eps=(0.06,))
    (sign,) = (one for one in summary["indicators"] if one["name"] == "not finite")
    assert sign["triggered"]
    assert "of 40 images" in sign["finding"]


def test_certificates_stand_beside_what_was_broken(problem: Problem, tmp_path: Path) -> None:
    """In the summary, the results and both pages; images that an attack of later breaks are looked at no more."""
    out, weak = tmp_path / "run", (Noise(points=1),)
    summary = run(problem, out, entrants=weak, certify=5.0, eps=EPS)
    assert [found["eps"] for found in summary["certificates"]] == list(EPS)
    for found, union in zip(summary["certificates"], summary["unions"], strict=True):
        assert found["broken"] + found["certified"] + found["undecided"] == found["images"]
        assert found["broken"] - found["broken_by_the_proof"] == round(union["success_rate"] * union["images"])
        assert found["robust_accuracy_at_most"] <= union["robust_accuracy"]
        assert f"{found['certified']} certified of" in (out / "report.md").read_text()
        assert f"{found['certified']} certified of" in (out / "report.html").read_text()
    assert {row["known"] for row in rows(out)} >= {"broken", "certified"}
    strong = (*weak, solver("graduated", restarts=3))
    again = run(problem, out, entrants=strong, certify=5.0, eps=EPS, resume=True)
    for before, after in zip(summary["certificates"], again["certificates"], strict=True):
        assert after["certified"] == before["certified"]
        assert after["seconds"] <= before["seconds"]
        assert "broken_and_certified" not in after


@pytest.mark.parametrize(("settings", "sentence"), [({"norm": "l0"}, "certificates are for"), ({"eot": 2}, "random")])
def test_certificates_that_there_are_none_of(
    problem: Problem, tmp_path: Path, settings: dict[str, Any], sentence: str
) -> None:
    eps = (3.0,) if "norm" in settings else EPS
    with pytest.raises(UsageError, match=sentence):
        run(problem, tmp_path / "run", certify=1.0, **({"eps": eps} | settings))
    assert not (tmp_path / "run" / "cells").exists()


def test_masks_and_judges(problem: Problem, tmp_path: Path) -> None:
    """Nothing outside the mask changes; every attack's examples are shown to the other model."""
    free = np.zeros(problem.images.shape[-2:])
    free[0, 0] = 1
    np.save(tmp_path / "mask.npy", free)
    torch.manual_seed(5)
    other = nn.Sequential(nn.Flatten(), nn.Linear(16, 4)).eval()
    settings: dict[str, Any] = {"mask": str(tmp_path / "mask.npy"), "judges": {"other": other}}
    summary = run(problem, tmp_path / "run", **settings)
    for cell in (tmp_path / "run" / "cells").iterdir():
        moved = load_file(cell / "adversarial.safetensors")["adversarial"] != problem.images
        assert not moved.flatten(1)[:, 1:].any()
    assert [row["judge"] for row in summary["judges"]] == ["other"] * 3
    page = (tmp_path / "run" / "report.md").read_text()
    assert "## Shown to other models" in page
    assert "allows it" in page
    with pytest.raises(UsageError, match="know no mask"):
        run(problem, tmp_path / "peers", entrants=(stub(lambda case: None),), **settings)  # type: ignore[arg-type, return-value]
