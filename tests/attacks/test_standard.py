"""The ensemble: what it keeps from its first run, what it spends, and what it does not depend on."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from adrgd import UsageError, maximize
from adrgd.attacks import Attack, AttackResult, Minimum, Standard, Threat, attack_batch, smallest_changes
from adrgd.attacks.best import Best
from adrgd.attacks.certify import Certifier
from adrgd.attacks.ensemble import lanes
from adrgd.attacks.ensemble.inwards import inwards
from adrgd.attacks.ensemble.lanes import FREE, NEAR
from adrgd.attacks.ensemble.standard import find_attacker
from adrgd.objective import margin
from adrgd.rows import take
from adrgd.solvers import Euclidean, Steepest

from .problems import Problem

EPS = 0.05


def attack(problem: Problem, budget: int = 1500, *, seed: int = 0, **threat: object) -> AttackResult:
    allowed = Threat(**{"eps": EPS, **threat})  # type: ignore[arg-type]
    return attack_batch(
        problem.net, problem.images, problem.labels, Attack(threat=allowed, solver=Standard(budget=budget), seed=seed)
    )


def spent(result: AttackResult) -> torch.Tensor:
    return result.forward_passes + result.backward_passes


def test_it_begins_with_the_default_attack(problem: Problem) -> None:
    """What one run of it breaks is broken, after the same iterations; and more besides."""
    once = attack_batch(problem.net, problem.images, problem.labels, Attack(threat=Threat(eps=EPS)))
    result = attack(problem, 3000)
    assert result.success[once.success].all()
    assert torch.equal(result.first_success[once.success], once.first_success[once.success])
    assert torch.equal(result.history, once.history)
    assert result.success.sum() >= once.success.sum()


@pytest.mark.parametrize("budget", [50, 130, 700, 3000])
def test_the_budget_is_kept_and_broken_images_take_less(problem: Problem, budget: int) -> None:
    result = attack(problem, budget)
    assert (spent(result) <= budget).all()
    stands = ~result.success
    assert stands.any()
    assert spent(result)[stands].max() > 0.6 * budget
    assert spent(result)[result.success].float().mean() < spent(result)[stands].float().mean()


@pytest.mark.parametrize("budget", [700, 3000])
def test_images_that_came_nowhere_near_end_early(problem: Problem, budget: int) -> None:
    result = attack(problem, budget)
    gap = [-margin(problem.net(x), problem.labels) for x in (result.adversarial, problem.images)]
    share = spent(result) / budget
    early = ~result.success & (share < 0.6)
    assert early.any()
    assert (gap[0] > NEAR * (1 - share) ** 2 * gap[1])[early].all()
    assert (share[~result.success] >= min(FREE, 2 * 50 * 2 / budget)).all()


def test_the_history_is_as_long_as_the_first_run(problem: Problem) -> None:
    """A flat end would say that the run had nothing left to find."""
    history = attack(problem, 700).history
    assert history.shape == (len(problem.images), 51)
    assert (history[:, -1] > history[:, -15]).any()


def test_a_larger_budget_breaks_no_less(problem: Problem) -> None:
    rates = [attack(problem, budget).success.double().mean() for budget in (60, 400, 2000)]
    assert rates == sorted(rates)


def test_results_do_not_depend_on_the_batch(problem: Problem) -> None:
    whole = attack(problem)
    parts = [slice(0, 7), slice(7, 8), slice(8, 40)]
    index = torch.arange(40)
    single = Attack(threat=Threat(eps=EPS), solver=Standard(budget=1500))
    for part in parts:
        found = attack_batch(problem.net, problem.images[part], problem.labels[part], single, index=index[part])
        assert torch.equal(found.success, whole.success[part])
        assert torch.equal(spent(found), spent(whole)[part])
        torch.testing.assert_close(found.adversarial, whole.adversarial[part])


def test_the_seed_decides_everything(problem: Problem) -> None:
    first, again, other = (attack(problem, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.adversarial, again.adversarial)
    assert not torch.equal(first.adversarial, other.adversarial)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_targets_are_reached_inside_the_ball(problem: Problem, norm: str) -> None:
    eps = 0.2 if norm == "linf" else 0.5
    result = attack(problem, eps=eps, norm=norm, target="next")
    assert torch.equal(result.target, (problem.labels + 1) % 4)
    assert torch.equal(result.success, problem.net(result.adversarial).argmax(1) == result.target)
    assert 0 < result.success.sum()
    assert (result.distance <= eps).all()
    assert ((result.adversarial >= 0) & (result.adversarial <= 1)).all()


def test_two_classes_are_enough(problem: Problem) -> None:
    net = nn.Sequential(problem.net, nn.Linear(4, 2)).eval().requires_grad_(False)
    result = attack(replace(problem, net=net, labels=net(problem.images).argmax(1)), 1000)
    assert torch.equal(result.success, net(result.adversarial).argmax(1) != result.label)


def test_misclassified_images_cost_next_to_nothing(problem: Problem) -> None:
    wrong = (problem.net(problem.images).argmax(1) != problem.labels).nonzero()[:, 0]
    result = attack(replace(problem, images=take(problem.images, wrong), labels=take(problem.labels, wrong)))
    assert result.success.all()
    assert (spent(result) <= 5).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"steps": 50}, "steps"), ({"restarts": 4}, "restarts"), ({"stop_at_success": False}, "stop_at_success")],
)
def test_settings_of_single_solvers_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=rf"divides its own budget.*{words}"):
        Attack(solver=Standard(), **settings)  # type: ignore[arg-type]


def branched(problem: Problem, part: slice) -> AttackResult:
    index = torch.arange(40)[part]
    single = Attack(threat=Threat(eps=EPS), solver=Standard(budget=20_000, walk=0.0, branch=0.9))
    return attack_batch(problem.net, problem.images[part], problem.labels[part], single, index=index)


def test_a_branch_and_bound_certifies_what_stands_and_keeps_to_budget_and_image(problem: Problem) -> None:
    """These balls are small enough for a proof of every image that came near and stands."""
    whole, part = branched(problem, slice(0, 40)), branched(problem, slice(20, 30))
    assert (spent(whole) <= 20_000).all()
    assert whole.certified is not None
    assert part.certified is not None
    assert whole.certified.any()
    assert not (whole.certified & whole.success).any()
    certifier = Certifier(problem.net, Threat(eps=EPS))
    for at in whole.certified.nonzero()[:, 0].tolist():
        assert certifier.certify(problem.images[at], int(problem.labels[at])).verdict == "certified"
    assert torch.equal(part.certified, whole.certified[20:30])
    assert torch.equal(part.success, whole.success[20:30])
    assert torch.equal(spent(part), spent(whole)[20:30])


def test_programs_keep_what_they_find_inside_the_ball(problem: Problem) -> None:
    index = torch.arange(20)
    single = Attack(threat=Threat(eps=EPS), solver=Standard(budget=20_000, walk=0.0, branch=0.0, program=0.1))
    result = attack_batch(problem.net, problem.images[:20], problem.labels[:20], single, index=index)
    assert (result.distance <= EPS + 1e-6).all()
    assert torch.equal(result.success, problem.net(result.adversarial).argmax(1) != result.label)


def test_small_budgets_know_no_bounds(problem: Problem) -> None:
    assert attack(problem).certified is None


@pytest.mark.parametrize("shares", [{"walk": 1.0}, {"branch": -0.1}, {"walk": 0.5, "branch": 0.5}])
def test_shares_of_the_budget_leave_something(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="of the budget"):
        Standard(**shares)  # type: ignore[arg-type]


def test_a_budget_that_pays_for_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 50 passes"):
        Standard(budget=10)


def walked(problem: Problem, part: slice) -> AttackResult:
    index = torch.arange(40)[part]
    solver = Standard(budget=2000, walk=0.5)
    single = Attack(threat=Threat(eps=EPS), solver=solver)
    return attack_batch(problem.net, problem.images[part], problem.labels[part], single, index=index)


def test_a_walk_keeps_to_the_budget_and_to_its_image(problem: Problem) -> None:
    whole, part = walked(problem, slice(0, 40)), walked(problem, slice(20, 30))
    assert (spent(whole) <= 2000).all()
    assert torch.equal(spent(part), spent(whole)[20:30])
    torch.testing.assert_close(part.adversarial, whole.adversarial[20:30])
    assert (whole.distance <= EPS).all()


@pytest.mark.parametrize("walk", [-0.1, 1.0, float("nan")])
def test_a_share_is_a_share(walk: float) -> None:
    with pytest.raises(UsageError, match="share of the budget|walk must be a finite number"):
        Standard(walk=walk)


def test_names() -> None:
    assert find_attacker("standard") == Standard()
    assert type(find_attacker("pgd")).__name__ == "PGD"
    with pytest.raises(UsageError, match="unknown solver 'standart'"):
        find_attacker("standart")


@pytest.mark.parametrize(("norm", "kinds"), [("l1", [Euclidean, Steepest] * 2), ("l2", [Steepest] * 4)])
def test_in_l1_every_other_run_moves_all_numbers(
    problem: Problem, norm: str, kinds: list[type], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[type] = []

    def noted(*args: Any, solver: Any, **options: Any) -> Any:
        seen.append(type(solver.step))
        return maximize(*args, solver=solver, **options)

    monkeypatch.setattr(lanes, "maximize", noted)
    attack(problem, 700, norm=norm)
    assert len(seen) >= 2
    assert seen[:4] == kinds[: len(seen)]


def test_in_l1_what_lies_inside_is_found_from_outside(problem: Problem) -> None:
    """Every image whose smallest change fits into the ball is broken by it, within the budget."""
    case = problem.case(norm="l1", eps=0.5)
    best = Best(case.clean, 1)
    at_work = lanes.Lanes(case, best, budget=100, seed=0)
    at_work.margin.zero_()  # as if all had come near
    inwards(at_work, 600)
    found = smallest_changes(problem.net, problem.images, problem.labels, Minimum(norm="l1", passes=600))
    assert best.reached[found.distance < 0.5].all()
    assert best.reached.any()
    assert case.threat.around(case.clean).bind(case.clean).contains(best.x).all()
    assert int((best.forwards + best.backwards).max()) <= 600
