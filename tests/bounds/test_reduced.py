"""A network over one box, with the neurons that bend there alone, is the same network there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from adrgd.bounds import network as networks
from adrgd.bounds.backward import Boxes
from adrgd.bounds.margins import Margins
from adrgd.bounds.network import Network, values_of
from adrgd.bounds.reading import read_network
from adrgd.bounds.reduced import Reduced, reduced
from adrgd.bounds.refine import all_intervals
from adrgd.proof.middle import Middle


class Residual(nn.Module):
    """Two convolutions around a skip connection, and two linear layers."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.last, self.activation = nn.Sequential(nn.Linear(75, 10), activation, nn.Linear(10, 3)), activation

    def forward(self, x: Tensor) -> Tensor:
        z = self.activation(self.first(x))
        out: Tensor = self.last(self.activation(z + self.second(z)).flatten(1))
        return out


KINDS = {
    "relu": lambda: nn.Sequential(nn.Linear(25, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)),
    "leaky": lambda: nn.Sequential(nn.Linear(25, 20), nn.LeakyReLU(0.2), nn.Linear(20, 9), nn.ReLU(), nn.Linear(9, 3)),
    "residual": lambda: Residual(nn.ReLU()),
    "residual, leaky": lambda: Residual(nn.LeakyReLU(0.1)),
}


def network_of(kind: str, seed: int) -> Network:
    torch.manual_seed(seed)
    net = KINDS[kind]().double().requires_grad_(False)
    shape = (1, 5, 5) if kind.startswith("residual") else (25,)
    return read_network(net, torch.zeros(1, *shape), entries=0)


def small_of(network: Network, width: float, seed: int) -> tuple[Boxes, Reduced]:
    torch.manual_seed(seed)
    middle = torch.rand(1, 25, dtype=torch.float64)
    box = Boxes(middle - width, middle + width)
    found = reduced(network, box, all_intervals(network, network, box))
    assert found is not None
    return box, found


def seen(network: Network, points: Tensor) -> list[Tensor]:
    kept: list[Tensor] = []

    def act(layer: int, h: Tensor) -> Tensor:
        kept.append(h)
        return network.curves[layer].value(h)

    network.walk(points, act)
    return kept


def points_of(box: Boxes) -> Tensor:
    share = torch.rand(300, 25, dtype=torch.float64)
    share[:100] = share[:100].round()
    return box.lower + share * (box.upper - box.lower)


@pytest.mark.parametrize("width", [0.0, 1e-3, 0.03])
@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_the_same_in_its_box(kind: str, width: float) -> None:
    network = network_of(kind, 0)
    box, small = small_of(network, width, 0)
    assert sum(small.network.sizes) < sum(network.sizes)
    points = points_of(box)
    exact = values_of(network, points)
    torch.testing.assert_close(values_of(small.network, points - small.middle), exact, atol=1e-12, rtol=1e-12)
    shifted = small.boxes(box)
    assert ((shifted.lower <= points - small.middle) & (points - small.middle <= shifted.upper)).all()


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_middle_bounds_hold_everywhere_and_never_get_looser(
    kind: str, single: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "SMALL", 0 if single else 10**9)
    for seed in range(2):
        network = network_of(kind, seed)
        box, small = small_of(network, 0.1 if kind.startswith("residual") else 0.07, seed)
        quick = small.network.single()
        assert quick.dtype == (torch.float32 if single else torch.float64)
        values = seen(network, points_of(box))
        middle = Middle(quick, small.boxes(box), small.intervals)
        for seconds in (0.0, 0.2, 0.2):
            before = middle.intervals
            for _ in middle.turn(seconds):
                pass
            for (low, high), old, own, h in zip(middle.intervals, before, small.bent, values, strict=False):
                assert (low >= old[0]).all()
                assert (high <= old[1]).all()
                assert ((low <= h[:, own]) & (h[:, own] <= high)).all()
        widths = [
            sum(float((high - low).sum()) for low, high in some[1:]) for some in (small.intervals, middle.intervals)
        ]
        assert widths[1] <= (0.99 if kind.startswith("residual") else 1.0) * widths[0]


def test_what_it_is_off_by_counts_as_rounding() -> None:
    box, small = small_of(network_of("residual", 0), 0.01, 0)
    inside = small.boxes(box)
    steps = Margins(small.network, inside.lower, inside.upper).extend(small.intervals).steps
    exact = Margins(replace(small.network, off=()), inside.lower, inside.upper).extend(small.intervals).steps
    for with_it, without, off in zip(steps, exact, small.network.off, strict=True):
        assert ((0 < off) & (off < 1e-10)).all()
        torch.testing.assert_close(with_it - without, off)


def test_other_curves_and_large_balls_are_left_as_they_are() -> None:
    torch.manual_seed(0)
    smooth = nn.Sequential(nn.Linear(25, 20), nn.Tanh(), nn.Linear(20, 3)).double().requires_grad_(False)
    for net, width in ((smooth, 0.01), (KINDS["relu"]().double().requires_grad_(False), 5.0)):
        network = read_network(net, torch.zeros(1, 25))
        box = Boxes(-width * torch.ones(1, 25).double(), width * torch.ones(1, 25).double())
        assert reduced(network, box, all_intervals(network, network, box)) is None
