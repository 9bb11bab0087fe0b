"""Attacks on random models: means over draws, judged over fresh ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from adrgd import AdrgdWarning, Attack, ModelError, Standard, Threat, UsageError, attack_batch
from adrgd.attacks.matrix import Own, Peer, run_matrix
from adrgd.attacks.run import run_attack
from adrgd.attacks.smallest.minimum import Minimum, smallest_changes
from adrgd.attacks.smallest.run import run_minimum
from adrgd.data import Images
from adrgd.defences import Expected, Noisy, ResizedAndPadded

from .problems import Problem

EOT = {"eot": 3, "eot_judge": 40}


@pytest.mark.parametrize("solver", ["pgd", "graduated", Standard(budget=300)])
def test_what_is_broken_is_so_on_fresh_draws(problem: Problem, solver: object) -> None:
    steps = {} if isinstance(solver, Standard) else {"steps": 12}
    attack = Attack(threat=Threat(eps=0.1), solver=solver, **steps, **EOT)  # type: ignore[arg-type]
    model = Noisy(problem.net, 0.05)
    found = attack_batch(model, problem.images, problem.labels, attack)
    again = attack_batch(model, problem.images[5:], problem.labels[5:], attack, index=torch.arange(5, 40))
    judge = Expected(model, 40, 0, "judge")
    assert torch.equal(found.success, judge(found.adversarial).argmax(1) != found.label)
    assert torch.equal(again.success, found.success[5:]), "no row depends on its batch"
    assert found.success.sum() > (found.clean_prediction != found.label).sum()
    assert ((found.wrong_draws > 20) == found.success).float().mean() > 0.9
    spent = found.forward_passes + found.backward_passes
    assert (spent % 3 == 0).all()
    if isinstance(solver, Standard):
        assert int(spent.max()) <= 300
    else:
        assert int(spent.max()) >= 3 * 24


def test_without_eot_a_random_model_is_refused_in_words(problem: Problem) -> None:
    with pytest.raises(ModelError, match="attack its mean over draws by eot"):
        attack_batch(Noisy(problem.net, 0.1), problem.images, problem.labels, Attack(threat=Threat(eps=0.1)))


def test_with_eot_a_model_that_is_not_random_is_named(problem: Problem) -> None:
    with pytest.warns(AdrgdWarning, match="it is not random"):
        attack_batch(problem.net, problem.images, problem.labels, Attack(threat=Threat(eps=0.1), steps=2, eot=2))


def test_a_budget_that_is_too_small_for_the_draws_is_named(problem: Problem) -> None:
    attack = Attack(threat=Threat(eps=0.1), solver=Standard(budget=300), eot=20)
    with pytest.raises(UsageError, match="raise it to 1000"):
        attack_batch(Noisy(problem.net, 0.1), problem.images, problem.labels, attack)


def test_a_run_says_what_its_draws_say(problem: Problem, tmp_path: Path) -> None:
    images = Images(problem.images, problem.labels, torch.arange(40), None, "")
    attack = Attack(threat=Threat(eps=0.1), steps=5, **EOT)  # type: ignore[arg-type]
    summary = run_attack(Noisy(problem.net, 0.05), images, attack, tmp_path / "run", config={**CONFIG, **EOT})
    told = summary["eot"]
    assert told["mostly_wrong"] + told["mostly_right"] + told["undecided"] == 40
    assert told["wrong_interval_95"][0] < told["wrong_share"] < told["wrong_interval_95"][1]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["eot"] == told
    with pytest.raises(UsageError, match="a proof is about a fixed function"):
        run_attack(Noisy(problem.net, 0.05), images, attack, tmp_path / "other", config=CONFIG, certify=1.0)


CONFIG = {"model": "m", "seed": 0, "steps": 5, "restarts": 1, "data": "d",
          "threat": {"norm": "linf", "eps": 0.1, "target": None},
          "solver": {"name": "graduated"}}  # fmt: skip


def test_an_evaluation_judges_everybody_over_the_same_draws(problem: Problem, tmp_path: Path) -> None:
    pytest.importorskip("torchattacks")
    images = Images(problem.images, problem.labels, torch.arange(40), None, "")
    entrants = [Own.named("pgd", Attack(steps=5)), Peer.named("torchattacks:PGD?steps=5")]
    model = ResizedAndPadded(problem.net, 3)
    summary = run_matrix({"net": model}, images, entrants, tmp_path / "run", eps=[0.1], **EOT)
    assert not summary["failures"]
    assert summary["config"]["eot"] == 3
    ours, theirs = summary["cells"]
    assert ours["clean_accuracy"] == theirs["clean_accuracy"]
    for cell in (ours, theirs):
        assert cell["forward_passes"] % 3 == 0
        assert cell["success_rate"] >= 1 - cell["clean_accuracy"]


def test_smallest_changes_of_a_random_model_hold_on_fresh_draws(problem: Problem) -> None:
    model, asked = Noisy(problem.net, 0.05), Minimum(norm="l2", passes=600, **EOT)
    found = smallest_changes(model, problem.images, problem.labels, asked)
    again = smallest_changes(model, problem.images[5:], problem.labels[5:], asked, index=torch.arange(5, 40))
    judge = Expected(model, 40, 0, "judge")
    assert torch.equal(found.success, judge(found.adversarial).argmax(1) != found.label)
    assert found.success.float().mean() > 0.9
    assert torch.equal(again.distance, found.distance[5:]), "no row depends on its batch"
    spent = found.forward_passes + found.backward_passes
    assert (spent % 3 == 0).all()
    assert int(spent.max()) <= 620
    assert found.wrong_draws is not None
    assert ((found.wrong_draws > 20) == found.success).float().mean() > 0.9


def test_a_run_of_smallest_changes_says_its_rule_and_shows_them_to_others(problem: Problem, tmp_path: Path) -> None:
    images = Images(problem.images[:9], problem.labels[:9], torch.arange(9), None, "")
    config = {"model": "m", "data": "d", "norm": "l2", "passes": 300, "seed": 0, "threat": {"target": None},
              "solver": {"name": "graduated"}}  # fmt: skip
    summary = run_minimum(
        Noisy(problem.net, 0.05), images, Minimum(passes=300, **EOT), tmp_path, config=config,
        judges={"plain": problem.net},
    )  # fmt: skip
    assert "up to 2 times" in summary["eot"]["rule"]
    assert summary["judges"][0]["model"] == "plain"
    assert (tmp_path / "judges.parquet").exists()
    page = (tmp_path / "report.html").read_text()
    assert "Shown to other models" in page
    assert summary["eot"]["rule"] in page
