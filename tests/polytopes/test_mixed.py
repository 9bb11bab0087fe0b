"""Mixed-integer programs: what they say of a point is true of the network, and no point of the box is better."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adrgd.bounds.backward import Boxes
from adrgd.bounds.network import Network, values_of
from adrgd.bounds.reading import read_network
from adrgd.bounds.refine import all_intervals
from adrgd.polytopes import Expressions, expressions, hinged, optimum

NETS = {
    "relu": lambda: nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)),
    "leaky relu": lambda: nn.Sequential(nn.Linear(4, 12), nn.LeakyReLU(0.2), nn.Linear(12, 3)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(27, 3)
    ),
}
GOAL = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)


def network(kind: str) -> Network:
    torch.manual_seed(1)
    return read_network(NETS[kind]().double(), torch.zeros(1, 4))


def program(net: Network, reach: float) -> Expressions:
    low, high = torch.full((4,), 0.2 - reach).double(), torch.full((4,), 0.2 + reach).double()
    intervals = all_intervals(net, net.single(), Boxes(low[None], high[None]))
    return expressions(net, GOAL, low, high, intervals)


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("reach", [0.01, 0.3, 2.0])
def test_the_optimum_is_a_value_of_the_network_and_no_sample_is_better(kind: str, reach: float) -> None:
    net = network(kind)
    assert hinged(net)
    wanted = program(net, reach)
    found = optimum(wanted, (wanted.low + wanted.high) / 2, nodes=10_000)
    assert found.x is not None
    assert ((wanted.low <= found.x) & (found.x <= wanted.high)).all()
    assert float(values_of(net, found.x[None])[0] @ GOAL) == pytest.approx(found.value, abs=1e-4)
    samples = torch.lerp(wanted.low, wanted.high, torch.rand(5000, 4).double())
    assert float((values_of(net, samples) @ GOAL).max()) <= found.value + 1e-5
    assert found.bound >= found.value - 1e-6


def test_a_small_box_leaves_few_hinges_undecided() -> None:
    net = network("relu")
    assert len(program(net, 0.001).least) < len(program(net, 0.3).least) <= len(program(net, 2.0).least) <= 20


def test_other_activations_are_not_hinged() -> None:
    assert not hinged(read_network(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()).double(), torch.zeros(1, 4)))
