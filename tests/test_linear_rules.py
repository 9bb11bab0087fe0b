"""Polytopes and whole numbers: known answers, brute force, errors, and optima of linear objectives."""

from __future__ import annotations

from itertools import product as each

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from adrgd import AdrgdWarning, Box, Discrete, DomainError, L2Ball, LinfBall, Masked, Polytope, maximize
from adrgd.domain import BoundDomain
from adrgd.linear_program import Program
from adrgd.rows import RowRandom

UNIT = Box(0.0, 1.0)
X = torch.zeros(1, 2, dtype=torch.float64)
BUDGET = Polytope([[1.0, 1.0]], [1.0], box=UNIT)  # x + y <= 1


@st.composite
def polytopes(draw: st.DrawFn) -> tuple[Polytope, Tensor]:
    """Random rules around a random point, and points anywhere."""
    n, m = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    seed, dtype = draw(st.integers(0, 10**6)), draw(st.sampled_from([torch.float32, torch.float64]))
    random = np.random.default_rng(seed)
    a, inside = random.normal(size=(m, n)), random.uniform(0.1, 0.9, size=n)
    b = a @ inside + draw(st.sampled_from([0.0, 0.01, 1.0]))
    c = random.normal(size=(draw(st.integers(0, 1)), n))
    given = Polytope(a, b, c, c @ inside, UNIT) if len(c) else Polytope(a, b, box=UNIT)
    return given, torch.from_numpy(random.normal(size=(3, n)) * draw(st.sampled_from([0.5, 50.0]))).to(dtype)


def inside_points(bound: BoundDomain, count: int) -> list[Tensor]:
    return [bound.sample(RowRandom.seeded(seed, torch.arange(3))) for seed in range(count)]


@settings(max_examples=12)
@given(polytopes())
def test_laws_of_polytopes(case: tuple[Polytope, Tensor]) -> None:
    rules, x = case
    bound = rules.bind(x)
    p = bound.project(x)
    assert p.dtype == x.dtype
    assert torch.equal(bound.project(p), p)
    a, b = torch.as_tensor(rules.a), torch.as_tensor(rules.b)
    slack = 1e-4 if x.dtype == torch.float32 else 1e-8
    for y in [p, *inside_points(bound, 3)]:
        assert bound.contains(y).all()
        assert (y.double() @ a.T <= b + slack).all()
        assert ((y >= 0) & (y <= 1)).all()
        scale = (x.double() - p.double()).norm(dim=1) * 10
        assert (((x.double() - p.double()) * (y.double() - p.double())).sum(1) <= slack * scale + slack**2).all()
    step = bound.steepest(x).double()
    if rules.c is not None:
        assert (step @ torch.as_tensor(rules.c).T).abs().max() <= 1e-5 * step.norm()


def test_the_nearest_points_of_a_budget() -> None:
    x = torch.tensor([[2.0, 2.0], [0.9, 0.3], [3.0, -1.0], [0.2, 0.3]], dtype=torch.float64)
    found = BUDGET.bind(x).project(x)
    known = torch.tensor([[0.5, 0.5], [0.8, 0.2], [1.0, 0.0], [0.2, 0.3]], dtype=torch.float64)
    torch.testing.assert_close(found, known, rtol=0, atol=1e-9)


def test_rules_that_bound_need_no_box() -> None:
    corner = Polytope([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [1.0, 0.0, 0.0])
    solution = maximize(lambda x: x @ x.new_tensor([1.0, 2.0]), X, domain=corner, solver="pgd", steps=30, restarts=2)
    torch.testing.assert_close(solution.x, torch.tensor([[0.0, 1.0]], dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_objective_against_its_program(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, goal = random.normal(size=(4, 6)), random.normal(size=6)
    b, c = a @ np.full(6, 0.5) + 0.2, np.ones((1, 6))
    program = Program(
        np.concatenate([a, c]), np.append(np.full(4, -np.inf), 3.0), np.append(b, 3.0), np.zeros(6), np.ones(6)
    )
    best = float(goal @ program.best(goal))
    slope = torch.from_numpy(goal)
    start = torch.full((1, 6), 0.5, dtype=torch.float64)
    solution = maximize(
        lambda x: x @ slope, start, domain=Polytope(a, b, c, [3.0], UNIT), solver="pgd", steps=60, restarts=2
    )
    assert float(solution.value) == pytest.approx(best, abs=2e-3 * abs(best))
    assert float(solution.value) <= best + 1e-7


def test_each_row_has_a_box_of_its_own() -> None:
    low = torch.tensor([[0.0, 0.0], [0.3, 0.3]], dtype=torch.float64)
    x = torch.full((2, 2), 9.0, dtype=torch.float64)
    found = Polytope([[1.0, 1.0]], [1.0], box=Box(low, low + torch.tensor([1.0, 0.1]))).bind(x).project(x)
    torch.testing.assert_close(found.sum(1), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-9)
    assert found[:, 1].tolist() == pytest.approx([0.1, 0.4], abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.floats(-4, 4, width=32), min_size=5, max_size=5))
def test_whole_numbers_against_all_points(numbers: list[float]) -> None:
    """Two whole numbers, and one of three categories."""
    x = torch.tensor([numbers])
    bound = Discrete(Box(-1.5, 2.5), whole=[0, 1], groups=[[2, 3, 4]]).bind(x)
    found = bound.project(x)
    points = [[*whole, *one] for whole in each((-1, 0, 1, 2), repeat=2) for one in torch.eye(3).tolist()]
    least = (torch.tensor(points) - x).norm(dim=1).amin()
    assert bound.contains(found).all()
    assert torch.equal(bound.project(found), found)
    assert float((found - x).norm()) == pytest.approx(float(least), abs=1e-5)


def test_what_is_returned_is_whole_and_the_best_of_all() -> None:
    """A network that is a bump at (3, 1): between the whole numbers there is more to be had, and none of it counts."""
    asked: list[Tensor] = []

    def bump(x: Tensor) -> Tensor:
        asked.append(x.detach().clone())
        return -(x[:, 0] - 2.8).square() - (x[:, 1] - 1.3).square()

    solution = maximize(bump, X, domain=Discrete(Box(0.0, 5.0), whole=[True, True]), solver="pgd", steps=30)
    assert solution.x.tolist() == [[3.0, 1.0]]
    assert float(solution.value) == pytest.approx(-0.04 - 0.09)
    assert all(torch.equal(x, x.round()) for x in asked)


def test_whole_numbers_under_rules() -> None:
    """3 a + 2 b <= 7 with whole a, b: rounding alone would break it; a real number beside them is bounded by it too."""
    rules = Polytope([[3.0, 2.0, 1.0]], [7.0], box=Box(0.0, torch.tensor([4.0, 4.0, 0.7])))
    x = torch.tensor([[2.6, 2.6, 0.9], [0.4, 0.2, 0.3]], dtype=torch.float64)
    bound = Discrete(rules, whole=[0, 1]).bind(x)
    found = bound.project(x)
    assert bound.contains(found).all()
    torch.testing.assert_close(found[1], torch.tensor([0.0, 0.0, 0.3], dtype=torch.float64))
    assert float(found[0] @ torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)) <= 7 + 1e-9
    slope = torch.tensor([3.1, 2.0, 0.5], dtype=torch.float64)
    start = torch.zeros(1, 3, dtype=torch.float64)
    solution = maximize(
        lambda z: z @ slope, start, domain=Discrete(rules, whole=[0, 1]), solver="pgd", steps=20, restarts=4
    )
    best = max(
        3.1 * a + 2 * b + 0.5 * min(0.7, 7 - 3 * a - 2 * b) for a in range(3) for b in range(4) if 3 * a + 2 * b <= 7
    )
    assert float(solution.value) == pytest.approx(best, abs=1e-6)


def test_whole_numbers_in_a_ball_stay_there() -> None:
    x = torch.tensor([[2.0, 0.1]])
    solution = maximize(lambda z: z.sum(1), x, domain=Discrete(LinfBall(x, 1.2), whole=[0]), solver="pgd", steps=20)
    assert solution.x[0, 0] == 3
    assert float(solution.x[0, 1]) == pytest.approx(1.3)


def test_a_start_that_breaks_a_rule_is_said() -> None:
    with pytest.warns(AdrgdWarning, match="1 of 1 starting points break the domain's rules"):
        maximize(lambda x: x.sum(1), X + 5, domain=BUDGET, solver="pgd", steps=2)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Polytope([[1.0, 1.0], [-1.0, -1.0]], [1.0, -3.0], box=UNIT).bind(X), "is empty"),
        (lambda: Polytope([[1.0, 1.0], [-1.0, -1.0]], [1.0, -3.0]).bind(X), "is empty"),
        (lambda: Polytope([[1.0, 1.0]], [1.0]).bind(X), "is unbounded: no rule bounds number 0"),
        (lambda: Polytope([[1.0, 1.0, 1.0]], [1.0], box=UNIT).bind(X), r"expected \(rules, 2\)"),
        (lambda: Polytope([[1.0, float("nan")]], [1.0], box=UNIT).bind(X), "NaN"),
        (lambda: Polytope([[1.0, 1.0]], None, box=UNIT).bind(X), "go together"),
        (lambda: Polytope(box=UNIT).bind(X), "has no rules"),
        (lambda: Discrete(Box(0.2, 0.8), whole=[0]).bind(X), "hold no whole number"),
        (lambda: Discrete(UNIT, whole=[2]).bind(X), "positions from 0 to 1"),
        (lambda: Discrete(UNIT, groups=[[0]]).bind(X), "two numbers at least"),
        (lambda: Discrete(UNIT, whole=["a"]).bind(X), "positions as whole numbers, found"),
        (lambda: Discrete(UNIT, whole=[0.5]).bind(X), "positions as whole numbers, found"),
        (lambda: Discrete(UNIT, groups="ab").bind(X), "lists of positions, found 'ab'"),
        (lambda: Discrete(UNIT, groups=[0, 1]).bind(X), "positions as whole numbers, found 0"),
        (lambda: Discrete(LinfBall(X + 0.5, 0.2), whole=[0]).bind(X), "hold no whole number"),
        (lambda: Discrete(L2Ball(X, 1.0, UNIT), whole=[0]).bind(X), "a Box, a LinfBall, or a Polytope"),
        (lambda: Discrete(Box(0.0, 0.5), groups=[[0, 1]]).bind(X), "leave no value of 1"),
        (lambda: Discrete(Polytope(c=[[2.0, 2.0]], d=[1.0], box=UNIT), [0, 1]).bind(X), "with whole numbers satisfies"),
        (lambda: Masked(BUDGET, torch.tensor([True, False]), X).bind(X), "do not depend on each other"),
    ],
)  # fmt: skip
def test_errors_are_sentences(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DomainError, match=sentence):
        make()
