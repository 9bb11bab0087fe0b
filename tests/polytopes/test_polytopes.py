"""Linear pieces: what is said of one holds of the function, its best point is the best, and walks only gain."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from adrgd.exact import certify, mlp_from_module
from adrgd.polytopes import Pieces, hinges, summit, walk

PASSES = 4000
NONE = torch.empty(0, dtype=torch.int64)
KINDS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1)),
    "leaky relu": lambda: nn.Sequential(nn.Linear(4, 12), nn.LeakyReLU(0.2), nn.Linear(12, 1)),
    "relu6": lambda: nn.Sequential(nn.Linear(4, 12), nn.ReLU6(), nn.Linear(12, 8), nn.Hardtanh(), nn.Linear(8, 1)),
    "in place": lambda: nn.Sequential(nn.Linear(4, 12), nn.ReLU(inplace=True), nn.Linear(12, 1)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 6, 2, padding=1), nn.PReLU(6), nn.Flatten(), nn.Linear(54, 1)
    ),
    "residual": lambda: Residual(),
}


class Residual(nn.Module):
    """A layer that is used twice around a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        h = h + self.shared(h).relu()
        out: Tensor = self.last(h + self.shared(h).clamp(min=0))
        return out


class Case:
    """A function of one net in double precision, and a point in its box."""

    def __init__(self, kind: str, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.net = KINDS[kind]().double().eval().requires_grad_(False)
        self.x = torch.rand(1, 4, dtype=torch.float64)
        self.low, self.high = torch.zeros_like(self.x), torch.ones_like(self.x)
        self.pieces = self.seen(PASSES)

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)[:, 0]
        return out

    def seen(self, passes: int) -> Pieces:
        """Its pieces, afresh."""
        picked = hinges(self, self.x)
        assert picked is not None
        return Pieces(self, picked, passes)


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_a_piece_is_the_function_where_it_is_and_linear_elsewhere(case: Case) -> None:
    cell = case.pieces.at(case.x)
    assert cell.value == float(case(case.x))
    near, far = (case.x + size * torch.randn_like(case.x) for size in (1e-7, 2.0))
    slope = case.pieces.slopes(cell, torch.tensor([-1]))[0]
    for point in (near, far):
        there = case.pieces.within(cell, point)
        torch.testing.assert_close(there.value, cell.value + float(slope @ (point - case.x)[0]))
    torch.testing.assert_close(case.pieces.within(cell, near).value, float(case(near)))


def test_slopes_of_facets_move_their_heights(case: Case) -> None:
    cell, facets = case.pieces.at(case.x), torch.tensor([0, 3, 7])
    moved = case.pieces.within(cell, case.x + 0.5)
    expected = cell.heights[facets] + 0.5 * case.pieces.slopes(cell, facets).sum(1)
    torch.testing.assert_close(moved.heights[facets], expected)


def test_the_summit_is_the_best_point_of_its_piece(case: Case) -> None:
    cell = case.pieces.at(case.x)
    top = summit(case.pieces, cell, case.low, case.high, NONE)
    assert ((top.cell.x >= case.low) & (top.cell.x <= case.high)).all()
    assert (top.cell.sides * top.cell.heights >= -1e-5).all()
    torch.testing.assert_close(top.cell.value, float(case(top.cell.x)), rtol=0, atol=1e-5)
    points = case.x + torch.randn(2000, 4, dtype=torch.float64) * torch.logspace(-3, 0, 2000)[:, None].double()
    points = points.clamp(0, 1)
    same = torch.stack([(case.pieces.at(point[None]).sides == cell.sides).all() for point in points[::10]])
    assert same.any()
    assert float(case(points[::10][same]).max()) <= top.cell.value + 1e-5


def test_a_walk_only_gains_stays_in_the_box_and_within_its_passes(case: Case) -> None:
    start = float(case(case.x))
    for passes in (2, 10, 60, 600):
        pieces = case.seen(passes)
        found = walk(pieces, case.x, case.low, case.high, lambda value: False)
        assert found.value >= start
        assert found.value == float(case(found.x))
        assert ((found.x >= case.low) & (found.x <= case.high)).all()
        assert pieces.forwards + pieces.backwards <= passes


@pytest.mark.parametrize("seed", range(5))
def test_walks_from_some_points_come_near_the_maximum(seed: int) -> None:
    case = Case("relu", seed)
    best = certify(mlp_from_module(case.net), 0.0, 1.0).value
    starts = torch.rand(8, 1, 4, dtype=torch.float64)
    found = [walk(case.seen(PASSES), x, case.low, case.high, lambda value: False).value for x in starts]
    assert max(found) <= best + 1e-6
    assert max(found) >= best - 0.02 * (1 + abs(best))


def test_a_walk_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """The library that solves its programs writes past Python's own output."""
    case = Case("relu")
    walk(case.pieces, case.x, case.low, case.high, lambda value: False)
    assert capfd.readouterr() == ("", "")


def test_a_walk_ends_where_enough_is_reached() -> None:
    case = Case("relu")
    start = float(case(case.x))
    whole = case.seen(PASSES)
    walk(whole, case.x, case.low, case.high, lambda value: False)
    short = case.seen(PASSES)
    found = walk(short, case.x, case.low, case.high, lambda value: value > start)
    assert found.pieces == 1
    assert short.forwards < whole.forwards


@pytest.mark.parametrize(
    ("activation", "linear"),
    [(nn.ReLU(), True), (nn.Hardtanh(), True), (nn.GELU(), False), (nn.Sigmoid(), False), (nn.MaxPool1d(2), False),
     (nn.Softmax(1), False), (nn.Identity(), False)],
)  # fmt: skip
def test_what_bends_a_function_otherwise_is_noticed(activation: nn.Module, linear: bool) -> None:
    torch.manual_seed(0)
    first = nn.Linear(4, 6)
    assert (hinges(lambda x: activation(first(x)).sum(1), torch.rand(1, 4)) is not None) == linear
