"""What holds for every domain, radius, centre and point, in both precisions."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor

from adrgd.domain import BoundDomain, Box, Ellipsoid, L1Ball, L2Ball, LinfBall, LpBall, Masked
from adrgd.errors import DomainError
from adrgd.rows import RowRandom, column

BALLS = {"linf": LinfBall, "l2": L2Ball, "l1": L1Ball, "lp": LpBall, "ellipsoid": Ellipsoid}
KINDS = [
    "box", "linf", "linf in a box", "l2", "l2 in a box", "l1", "l1 in a box", "masked box", "masked linf in a box",
    "masked l2 in a box", "masked l1", "lp", "lp in a box", "ellipsoid", "ellipsoid in a box",
]  # fmt: skip
law = settings(max_examples=40)
few = settings(max_examples=12)  # for those that take many small steps


def laws(kind: str) -> settings:
    return few if "lp" in kind or "ellipsoid" in kind else law


@dataclass(frozen=True)
class Case:
    """A bound domain, what it was made of, and points anywhere."""

    bound: BoundDomain
    kind: str
    centre: Tensor
    eps: Tensor
    low: Tensor
    high: Tensor
    x: Tensor
    free: Tensor
    p: float
    root: Tensor

    def size(self, move: Tensor) -> Tensor:
        """(B,) of a move, in the norm that the kind names."""
        if "lp" in self.kind:
            largest = move.abs().amax(1, keepdim=True).clamp_min(1e-300)
            found: Tensor = torch.linalg.vector_norm(move / largest, self.p, dim=1) * largest[:, 0]
            return found
        if "ellipsoid" in self.kind:
            return torch.linalg.solve(self.root, move.double()[:, :, None])[:, :, 0].norm(dim=1)
        if "l1" in self.kind:
            return move.abs().sum(1)
        return move.norm(dim=1) if "l2" in self.kind else move.abs().amax(1)

    def is_inside(self, y: Tensor) -> Tensor:
        """(B,) by definition, in float64, with the numbers that were given."""
        y, fits = y.double(), torch.ones(len(y), dtype=torch.bool)
        if "box" in self.kind:
            fits &= ((y >= self.low) & (y <= self.high)).all(1)
        if self.kind.removeprefix("masked ") != "box":
            rounding = 1 + 1e-12 * ("ellipsoid" in self.kind)  # whose size is computed in another way here
            fits &= self.size(y - self.centre.double()) <= self.eps * rounding
        fits &= ((y == self.centre.double()) | self.free).all(1)
        return fits


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    rows, n = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    size = draw(st.sampled_from([1e-3, 1.0, 300.0]))
    number = st.floats(-size, size, allow_subnormal=False)
    matrix = st.lists(st.lists(number, min_size=n, max_size=n), min_size=rows, max_size=rows)
    low, width = draw(number), draw(st.floats(size * 1e-3, 2 * size))
    box = Box(low, low + width)
    radius = st.floats(size * 1e-4, 3 * size)
    eps = draw(radius | st.lists(radius, min_size=rows, max_size=rows))
    centre = torch.tensor(draw(matrix), dtype=dtype)
    x = centre + draw(st.sampled_from([0.1, 1.0, 100.0])) * torch.tensor(draw(matrix), dtype=dtype)
    try:
        bound_box = box.bind(x)
    except DomainError:
        assume(False)
    if "box" in kind:
        centre = bound_box.project(centre)
    given_eps = torch.tensor(eps, dtype=torch.float64) if isinstance(eps, list) else eps
    names = kind.split()
    p = draw(st.sampled_from([1.1, 1.5, 2.5, 3.0, 12.0]))
    root = torch.eye(n).double() + 0.3 * RowRandom.seeded(n, torch.arange(n)).normal(
        (n,), "r", dtype=torch.float64
    ).tril(-1)
    more = {"lp": {"p": p}, "ellipsoid": {"covariance": root @ root.T}}
    ball = next(
        (
            BALLS[name](centre, given_eps, box if "box" in kind else None, **more.get(name, {}))
            for name in names
            if name in BALLS
        ),
        box,
    )
    free = torch.ones_like(x, dtype=torch.bool)
    if "masked" in kind:
        free = torch.tensor(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
        assume(free.any())
        free = free.expand_as(x)
        ball = Masked(ball, free, centre)
    bound = ball.bind(x)
    radii = torch.as_tensor(given_eps, dtype=torch.float64).expand(rows)
    lower, upper = torch.tensor([low, low + width], dtype=torch.float64)
    return Case(bound, kind, centre, radii, lower, upper, x, free, p, root)


def feasible_points(case: Case) -> list[Tensor]:
    """Points of the domain: samples, and the projections of points near the boundary."""
    rows = torch.arange(len(case.x))
    points = [case.bound.sample(RowRandom.seeded(seed, rows)) for seed in range(6)]
    noise = [RowRandom.seeded(seed, rows).normal(tuple(case.x.shape[1:]), "n", dtype=case.x.dtype) for seed in range(6)]
    span = column(case.eps, case.x).to(case.x)
    return points + [case.bound.project(points[0] + span * v) for v in noise]


@pytest.mark.parametrize("kind", KINDS)
def test_projections_and_samples_are_inside_exactly(kind: str) -> None:
    @laws(kind)
    @given(cases(kind))
    def check(case: Case) -> None:
        for y in [case.bound.project(case.x), *feasible_points(case)]:
            assert y.dtype == case.x.dtype
            assert case.bound.contains(y).all()
            assert case.is_inside(y).all()

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_contains_is_the_definition(kind: str) -> None:
    """Nothing outside is accepted, and in the Euclidean norm nothing inside refused; elsewhere bounds round inwards."""

    @laws(kind)
    @given(cases(kind))
    def check(case: Case) -> None:
        for y in (case.x, case.centre, (case.x + case.centre) / 2):
            inside = case.is_inside(y)
            assert not (case.bound.contains(y) & ~inside).any()
            if "l2" in kind:
                assert (case.bound.contains(y) == inside).all()

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_projecting_twice_changes_nothing(kind: str) -> None:
    @laws(kind)
    @given(cases(kind))
    def check(case: Case) -> None:
        for y in [case.bound.project(case.x), *feasible_points(case)]:
            assert torch.equal(case.bound.project(y), y)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_the_projection_is_the_nearest_point(kind: str) -> None:
    """p is nearest exactly when (x - p) . (y - p) <= 0 for every y of a convex set."""

    @laws(kind)
    @given(cases(kind))
    def check(case: Case) -> None:
        x, p = case.x.double(), case.bound.project(case.x).double()
        rounding = 1e-5 if case.x.dtype == torch.float32 or kind == "ellipsoid in a box" else 1e-7
        away = (x - p).norm(dim=1)
        for y in feasible_points(case):
            y = y.double()
            slack = rounding * (x.norm(dim=1) + case.centre.double().norm(dim=1) + case.eps)
            assert ((x - p) * (y - p)).sum(1).le(away * slack + 1e-300).all()
            assert (away <= (x - y).norm(dim=1) + slack).all()

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_steepest_maximises_a_linear_function(kind: str) -> None:
    """Over moves of at most one radius; for a box, of at most half its width in each coordinate.

    In the l1 norm the moves are also those that stay in the box: a single coordinate would leave it.
    """

    @laws(kind)
    @given(cases(kind))
    def check(case: Case) -> None:
        start = case.bound.project(case.x)
        gradient = torch.where(case.free, case.x, 0)
        step = case.bound.steepest(case.x, start).double()
        gain = (gradient.double() * step).sum(1)
        radius = (
            case.eps if kind.removeprefix("masked ") != "box" else (case.high - case.low) / 2 * torch.ones(len(step))
        )
        stays = "l1" in kind and "box" in kind
        moved = gradient.abs().amax(1) > 1e-300
        if not stays:
            torch.testing.assert_close(case.size(step)[moved], radius.to(step)[moved], rtol=1e-3, atol=0)
        for seed in range(10):
            other = RowRandom.seeded(seed, torch.arange(len(step))).normal(tuple(step.shape[1:]), "o", 0, torch.float64)
            other = other / case.size(other)[:, None] * radius[:, None]
            if stays:
                box = Box(float(case.low), float(case.high)).bind(case.x)
                other = (start + other).clamp(box.low.double(), box.high.double()) - start
            slack = 1e-6 * gradient.double().abs().amax(1) * radius if stays else 0.0
            assert ((gradient.double() * other).sum(1) <= gain * (1 + 1e-3) + slack).all()

    check()
