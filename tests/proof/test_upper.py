"""Upper bounds beside what a search finds: never below anything, and close where there is time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adrgd import Box, L0Ball, L1Ball, L2Ball, LinfBall, Output, maximize
from adrgd.domain import Ellipsoid, Simplex
from adrgd.errors import UsageError
from adrgd.rows import RowRandom


def net_of(inputs: int, activation: nn.Module, width: int = 6, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Linear(inputs, width), activation, nn.Linear(width, width), activation, nn.Linear(width, 2)]
    return nn.Sequential(*layers).requires_grad_(False)


DOMAINS: dict[str, Callable[[Tensor], Any]] = {
    "box": lambda x: Box(-0.5, 0.5),
    "linf": lambda x: LinfBall(x, 0.3, box=Box(-0.2, 1.0)),
    "l2": lambda x: L2Ball(x, 0.5),
    "l1": lambda x: L1Ball(x, 0.5, box=Box(-0.2, 0.2)),
    "ellipsoid": lambda x: Ellipsoid(x, 0.5, covariance=torch.diag(torch.arange(1.0, x.shape[1] + 1))),
}


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.2)], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("inputs", [3, 14])
@pytest.mark.parametrize("name", DOMAINS)
def test_no_point_is_above_the_bound(name: str, inputs: int, activation: nn.Module) -> None:
    net, x0 = net_of(inputs, activation), torch.zeros(2, inputs)
    domain = DOMAINS[name](x0)
    found = maximize(Output(net, 1), x0, domain=domain, steps=10, bound=0.15)
    assert found.upper_bound is not None
    assert found.gap is not None
    points = domain.bind(x0.repeat(200, 1) if name == "box" else x0)
    samples = [points.sample(RowRandom.seeded(seed, torch.arange(len(points.scale)))) for seed in range(30)]
    highest = max(float(net(sample)[:, 1].max()) for sample in samples)
    assert float(found.upper_bound.min()) >= highest - 1e-5
    assert (found.upper_bound >= found.value - 1e-5).all()
    assert (found.gap >= 0).all()


@pytest.mark.parametrize("inputs", [2, 16])
def test_an_affine_objective_has_no_gap(inputs: int) -> None:
    torch.manual_seed(0)
    net = nn.Linear(inputs, 1).requires_grad_(False)
    found = maximize(Output(net), torch.zeros(1, inputs), domain=Box(-1, 1), bound=5, solver="pgd")
    assert found.gap is not None
    assert float(found.gap) < 1e-5


@pytest.mark.parametrize("inputs", [2, 13])
def test_the_bound_comes_down_to_the_maximum(inputs: int) -> None:
    """Concave in one number that all inputs make: -|x_1 + ... + x_n|, whose first bound is above zero."""

    def hill(x: Tensor) -> Tensor:
        total = x.sum(1)
        return 1 - total.relu() - (-total).relu() + 0.5 * (total - 0.1).relu()

    found = maximize(hill, torch.zeros(1, inputs), domain=Box(-1, 1.5), bound=3)
    assert found.gap is not None
    assert float(found.value) == pytest.approx(1.0, abs=1e-3)
    assert float(found.gap) < 0.1


def test_rows_have_bounds_of_their_own() -> None:
    net = net_of(3, nn.ReLU())
    centre = torch.tensor([[0.0, 0, 0], [3.0, 3, 3]])

    def objective(x: Tensor, rows: Tensor) -> Tensor:
        return net(x)[:, 0] + 100.0 * rows

    found = maximize(objective, centre, domain=LinfBall(centre, 0.1), bound=1)
    assert found.upper_bound is not None
    assert found.upper_bound[0] < 50 < found.upper_bound[1] < 200


class Gamma(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x.sigmoid() + 1).lgamma()


@pytest.mark.parametrize(
    ("activation", "domain", "reason"),
    [
        (Gamma(), Box(-1, 1), "lgamma"),
        (nn.ReLU(), Simplex(), "no box is known"),
        (nn.ReLU(), L0Ball(torch.zeros(1, 4), 2, box=Box(0, 1)), "no box is known"),
    ],
)
def test_where_there_is_no_bound_it_says_why(activation: nn.Module, domain: Any, reason: str) -> None:
    x0 = torch.zeros(1, 4) if not isinstance(domain, Simplex) else torch.full((1, 4), 0.25)
    found = maximize(Output(net_of(4, activation)), x0, domain=domain, steps=5, bound=1)
    assert found.upper_bound is not None
    assert found.bounded is not None
    assert found.upper_bound.tolist() == [float("inf")]
    assert reason in found.bounded.reasons[0]


def test_no_bound_unless_asked_for() -> None:
    found = maximize(Output(net_of(3, nn.ReLU())), torch.zeros(1, 3), domain=Box(-1, 1), steps=3)
    assert (found.upper_bound, found.bounded, found.gap) == (None, None, None)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_seconds_that_are_none(seconds: float) -> None:
    with pytest.raises(UsageError, match="bound takes a positive number of seconds"):
        maximize(Output(net_of(3, nn.ReLU())), torch.zeros(1, 3), domain=Box(-1, 1), bound=seconds)
