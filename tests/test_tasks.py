"""Objectives of other tasks, against optima of linear networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adrgd import Box, LinfBall, ModelError, UsageError, maximize
from adrgd.domain import Simplex
from adrgd.tasks import Embedding, Leave, MultiLabel, Segment, Through, Unit

EPS = 0.1


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(4, 5, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.3


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(2)
    return nn.Linear(5, 3).eval().requires_grad_(False)


def most(net: nn.Module, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(B, k) the largest value of these combinations of outputs (k, 3) within EPS."""
    return net(x) @ rows.T + EPS * (rows @ net.weight).abs().sum(1)


def best(objective: object, x: torch.Tensor) -> torch.Tensor:
    return maximize(objective, x, domain=LinfBall(x, EPS), solver="pgd", steps=30, stop_at_goal=False).value  # type: ignore[arg-type]


def test_any_label_that_is_easiest(net: nn.Module, x: torch.Tensor) -> None:
    wanted = torch.tensor([[1.0, -1.0, 0.0]]).expand(4, 3)
    both = most(net, x, torch.tensor([[1.0, 0, 0], [0, -1.0, 0]]))
    found = best(MultiLabel(net, wanted), x)
    assert (found <= both.amax(1) + 1e-5).all()
    assert (found >= (net(x) * wanted)[:, :2].amax(1)).all()
    one = best(MultiLabel(lambda z: net(z)[:, 0], torch.ones(4)), x)
    torch.testing.assert_close(one, both[:, 0])


def test_all_labels_at_once(net: nn.Module, x: torch.Tensor) -> None:
    wanted = torch.tensor([[1.0, -1.0, 0.0]]).expand(4, 3)
    found = best(MultiLabel(net, wanted, all=True), x)
    assert (found <= most(net, x, torch.tensor([[1.0, 0, 0], [0, -1.0, 0]])).amin(1) + 1e-5).all()


def test_out_of_a_band(net: nn.Module, x: torch.Tensor) -> None:
    one = lambda z: net(z)[:, :1]  # noqa: E731
    infinite = torch.full((4,), torch.inf)
    up = best(Leave(one, -infinite, torch.zeros(4)), x)
    torch.testing.assert_close(up, most(net, x, torch.tensor([[1.0, 0, 0]]))[:, 0])
    down = best(Leave(one, torch.zeros(4), infinite), x)
    torch.testing.assert_close(down, most(net, x, torch.tensor([[-1.0, 0, 0]]))[:, 0])


def test_pixels_that_are_wrong_already_do_not_count() -> None:
    logits = torch.tensor([[[[5.0, 0.0, 1.0]], [[0.0, 3.0, 2.0]]]])
    labels = torch.tensor([[[0, 0, 255]]])
    value, reached = Segment(lambda z: logits, labels, share=0.5)(torch.zeros(1, 1), torch.tensor([0]))
    assert (value.item(), reached.item()) == (-2.5, True)


def test_embeddings(net: nn.Module, x: torch.Tensor) -> None:
    others = net(x.flip(0)) * 3
    near = Embedding(net, others)(x.flip(0), torch.arange(4))
    torch.testing.assert_close(near.value, torch.full((4,), 0.5))
    assert near.reached.all()
    assert not Embedding(net, others, away=True)(x.flip(0), torch.arange(4)).reached.any()


def test_an_angle_is_found_through_a_rotation() -> None:
    """The dot product with a point is largest where the rotated one lies upon it."""
    start, goal = torch.tensor([[1.0, 0.0]]), torch.tensor([0.6, 0.8])

    def turned(angle: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        c, s = angle.cos(), angle.sin()
        return torch.cat([c * start[rows, :1] - s * start[rows, 1:], s * start[rows, :1] + c * start[rows, 1:]], 1)

    objective = Through(lambda z, rows: z @ goal, turned)
    found = maximize(objective, torch.zeros(1, 1), domain=Box(-1.5, 1.5), steps=200, solver="pgd")
    torch.testing.assert_close(found.x, torch.tensor([[0.9273]]), atol=0.02, rtol=0)


def test_the_input_that_a_unit_looks_for(x: torch.Tensor) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).eval().requires_grad_(False)
    found = maximize(Unit(net, net[0], 2), x, domain=Box(0.0, 1.0), steps=30)
    expected = net[0].bias[2] + net[0].weight[2].clamp_min(0).sum()
    torch.testing.assert_close(found.value, expected.expand(4))
    with pytest.raises(UsageError, match="from 0 to 3"):
        Unit(net, net[0], 9)(x)
    with pytest.raises(ModelError, match="did not run"):
        Unit(net, nn.Linear(5, 4), 0)(x)


def test_shares_go_to_the_largest_weight(x: torch.Tensor) -> None:
    weights = torch.tensor([0.1, 0.9, 0.3, -0.2, 0.5])
    found = maximize(lambda z: z @ weights, x, domain=Simplex(), steps=60, solver="pgd")
    torch.testing.assert_close(found.value, torch.full((4,), 0.9), atol=1e-4, rtol=0)


def test_wanted_labels_of_another_shape(net: nn.Module, x: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="wanted labels of shape"):
        MultiLabel(net, torch.ones(4, 2))(x, torch.arange(4))
