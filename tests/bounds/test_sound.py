"""Bounds hold wherever they are tried, and are exact where nothing bends."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from adrgd.bounds.backward import Boxes, backward, goal
from adrgd.bounds.lines import Interval, forward
from adrgd.bounds.margins import Margins
from adrgd.bounds.network import Matrices, Network, values_of
from adrgd.bounds.reading import read_network
from adrgd.bounds.refine import all_intervals, refine
from adrgd.bounds.relaxation import relax
from adrgd.bounds.rounding import rounding_slack
from adrgd.bounds.slopes import tighten

ACTIVATIONS = [nn.ReLU(), nn.LeakyReLU(0.3), nn.Sigmoid(), nn.Tanh(), nn.Hardtanh(), nn.ReLU6()]


def module_of(activation: nn.Module, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(3, 8), activation, nn.Linear(8, 7), activation, nn.Linear(7, 6), activation, nn.Linear(6, 2)
    )
    for parameter in net.parameters():
        parameter.data *= 2.5
    return net.double().requires_grad_(False)


def network_of(activation: nn.Module, seed: int) -> Matrices:
    found = read_network(module_of(activation, seed), torch.zeros(1, 3))
    assert isinstance(found, Matrices)
    return found


def boxes_of(width: float) -> Boxes:
    centre = 2 * torch.rand(20, 3, dtype=torch.float64) - 1
    radius = width * torch.rand(20, 3, dtype=torch.float64)
    return Boxes(centre - radius, centre + radius)


def points_of(boxes: Boxes) -> Tensor:
    """(boxes, points, inputs), corners among them."""
    share = torch.rand(len(boxes), 200, 3, dtype=torch.float64)
    share[:, :60] = share[:, :60].round()
    return boxes.lower[:, None] + share * (boxes.upper - boxes.lower)[:, None]


def pre_activations(network: Network, points: Tensor) -> list[Tensor]:
    kept: list[Tensor] = []

    def act(layer: int, h: Tensor) -> Tensor:
        kept.append(h.view(*points.shape[:2], -1))
        return network.curves[layer].value(h)

    network.walk(points.flatten(0, 1), act)
    return kept


def slack_of(network: Network, boxes: Boxes) -> tuple[Tensor, ...]:
    return rounding_slack(network, boxes.lower.amin(0), boxes.upper.amax(0))


def hold(intervals: list[Interval], values: list[Tensor]) -> bool:
    return all(
        bool(((low[:, None] <= h) & (h <= high[:, None])).all())
        for (low, high), h in zip(intervals, values, strict=True)
    )


@pytest.mark.parametrize("width", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_no_point_is_outside(activation: nn.Module, width: float) -> None:
    for seed in range(3):
        network, boxes = network_of(activation, seed), boxes_of(width)
        points = points_of(boxes)
        slack = slack_of(network, boxes)
        seen = pre_activations(network, points)
        intervals = forward(network, boxes, slack).intervals
        assert hold(intervals, seen)
        refined, relaxations = refine(network, boxes, intervals, slack)
        assert hold(refined, seen)
        rows = torch.randn(20, 4, 2, dtype=torch.float64)
        on_inputs = torch.randn(20, 4, 3, dtype=torch.float64)
        wanted = goal(network, 3, rows, torch.randn(20, 4, dtype=torch.float64), on_inputs)
        values = values_of(network, points.flatten(0, 1)).view(20, 200, 2)
        exact = (wanted.offset - rows @ network.constants[3])[:, None] + torch.einsum("brk,bpk->bpr", rows, values)
        exact = exact + torch.einsum("brn,bpn->bpr", on_inputs, points)
        plain, _ = backward(network, wanted, relaxations, boxes)
        better, _ = tighten(network, wanted, relaxations, boxes, steps=4)
        assert (better.value >= plain.value).all()
        for linear in (plain, better):
            margin = (rows.abs() @ slack[-1] + 1e-12)[:, None]
            line = torch.einsum("brn,bpn->bpr", linear.slope, points) + linear.offset[:, None]
            assert (line <= exact + margin).all()
            assert (linear.value[:, None] <= line + margin).all()
        if width == 0:
            assert torch.allclose(better.value, exact.amin(1), atol=1e-8)


@pytest.mark.parametrize("width", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_no_point_is_outside_of_bounds_in_either_precision(activation: nn.Module, width: float) -> None:
    for seed in range(3):
        double = read_network(module_of(activation, seed), torch.zeros(1, 3), entries=0)
        single, box = double.single(), boxes_of(width).take(torch.tensor([seed]))
        assert single.dtype == torch.float32
        points = points_of(box)
        seen = pre_activations(double, points)
        rows = torch.randn(1, 4, 2, dtype=torch.float64)
        on_inputs = torch.randn(1, 4, 3, dtype=torch.float64)
        exact = torch.einsum("brk,pk->bpr", rows, values_of(double, points[0]))
        exact = exact + torch.einsum("brn,bpn->bpr", on_inputs, points)
        found = {}
        for network, steps in ((double, 0), (single, 0), (single, 3)):
            intervals = all_intervals(double, network, box, steps=steps)
            assert hold(intervals, seen)
            relaxations = [relax(*part) for part in zip(network.curves, *zip(*intervals, strict=True), strict=True)]
            relaxations = [relaxation.to(network.dtype) for relaxation in relaxations]
            margins = Margins(network, box.lower, box.upper).extend(intervals)
            wanted = goal(network, 3, rows, torch.zeros(1, 4, dtype=torch.float64), on_inputs, margins)
            linear, _ = tighten(network, wanted, relaxations, box, steps=3, margins=margins)
            assert (torch.einsum("brn,bpn->bpr", linear.slope, points) + linear.offset[:, None] <= exact).all()
            assert (linear.value[:, None] <= exact).all()
            found[network.dtype, steps] = linear.value
        torch.testing.assert_close(found[torch.float64, 0], found[torch.float32, 0], atol=0.02, rtol=0.02)
        if width == 0:
            torch.testing.assert_close(found[torch.float64, 0], exact.amin(1), atol=1e-8, rtol=0)


def test_lines_of_one_neuron_touch_relu() -> None:
    curve = network_of(nn.ReLU(), 0).curves[0]
    lower, upper = torch.tensor([[-1.0, -3.0, 1.0, -2.0]]).double(), torch.tensor([[3.0, 1.0, 2.0, -1.0]]).double()
    found = relax(curve, lower, upper)
    assert found.bent.tolist() == [[True, True, False, False]]
    assert found.upper_slope.tolist() == [[0.75, 0.25, 1.0, 0.0]]
    assert found.upper_offset.tolist() == [[0.75, 0.75, 0.0, 0.0]]
    assert found.lower_slope.tolist() == [[1.0, 0.0, 1.0, 0.0]]
    assert found.span == (0.0, 1.0)


def test_refined_bounds_are_no_worse_and_known_ones_are_kept() -> None:
    network, boxes = network_of(nn.ReLU(), 1), boxes_of(0.3)
    slack = slack_of(network, boxes)
    first = forward(network, boxes, slack).intervals
    refined, _ = refine(network, boxes, first, slack)
    again = forward(network, boxes, slack, refined).intervals
    for (low, high), (better_low, better_high), (low_again, high_again) in zip(first, refined, again, strict=True):
        assert (better_low >= low).all()
        assert (better_high <= high).all()
        assert (low_again >= better_low).all()
        assert (high_again <= better_high).all()
    assert sum(float((high - low).sum()) for low, high in refined) < sum(float((h - w).sum()) for w, h in first)
