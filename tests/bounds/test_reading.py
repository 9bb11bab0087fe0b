"""Networks taken apart into activations and affine maps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd.bounds import reading
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import Matrices, values_of
from adrgd.bounds.reading import read_network


class Residual(nn.Module):
    """Convolutions, batch normalisation, a skip connection, pooling by means, normalised inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(3), nn.Linear(12, 4)
        self.norm.running_mean = torch.tensor([0.1, -0.2, 0.3])

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.first((0.5 - x) / 0.2)))
        h = F.relu_(self.second(h) - h)
        out: Tensor = self.last(F.avg_pool2d(h, 2).flatten(1))
        return out


def dense(activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(32, 7), activation, nn.Linear(7, 9), nn.Tanh(), nn.Linear(9, 4))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "residual": Residual,
    "relu": lambda: dense(nn.ReLU()),
    "leaky relu": lambda: dense(nn.LeakyReLU(0.2)),
    "sigmoid": lambda: dense(nn.Sigmoid()),
    "hardtanh": lambda: dense(nn.Hardtanh()),
    "no activation": lambda: nn.Sequential(nn.Flatten(), nn.Linear(32, 4)),
}


@pytest.fixture(params=NETWORKS)
def net(request: pytest.FixtureRequest) -> nn.Module:
    return NETWORKS[request.param]().double().eval().requires_grad_(False)


@pytest.mark.parametrize("written_out", [True, False])
def test_the_parts_give_what_the_whole_gives(
    net: nn.Module, written_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not written_out:
        monkeypatch.setattr(reading, "ENTRIES", 0)
    found = read_network(net, torch.zeros(1, 2, 4, 4))
    assert isinstance(found, Matrices) == written_out
    x = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(values_of(found, x.flatten(1)), net(x))
    stage = len(found.sizes)
    rows = torch.randn(3, 4, dtype=torch.float64)
    picked, pulled = found.pick(stage, torch.arange(4)), found.pull(stage, rows)
    for source, part in pulled.items():
        torch.testing.assert_close(part, rows @ picked[source])


def test_absolute_values_bound_all_terms(net: nn.Module) -> None:
    """Those of a network of matrices are the least; a chain of maps may have larger ones."""
    small = read_network(net, torch.zeros(1, 2, 4, 4))
    x = torch.rand(1, 32, dtype=torch.float64)
    stages: dict[int, Tensor] = {}

    def keep(layer: int, h: Tensor) -> Tensor:
        stages[layer] = h
        return h

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "ENTRIES", 0)
        large = read_network(net, torch.zeros(1, 2, 4, 4)).reach(x, keep)
    assert (large >= small.reach(x, lambda _, h: h) * (1 - 1e-12)).all()
    assert all((h >= 0).all() for h in stages.values())


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda x: F.relu(x).lgamma(), "lgamma"),
        (lambda x: F.relu(x).kthvalue(2, 1).values[:, None], "kthvalue"),
        (lambda x: F.relu(x).exp_(), "exp"),
        (lambda x: F.relu(x).float().double(), "float"),
        (lambda x: x.sort(1).indices.double(), "put in order"),
        (lambda x: x[:, x.argmax(1)], "getitem"),
        (lambda x: x.amax(1, keepdim=True) + x.max(1).indices[:, None], "put in order"),
        (lambda x: F.relu(x) if x.sum().item() >= 0 else x, "item"),
        (lambda x: F.relu(x)[:, torch.argsort(x)[0]], "argsort"),
        (lambda x: F.max_pool1d(x[:, None], 2, padding=1, dilation=2)[:, 0], "max_pool"),
        (lambda x: F.relu(x.T).exp().T, "rows"),
        (lambda x: torch.vmap(torch.sin)(F.relu(x)), "inside torch.func"),
    ],
)
def test_what_is_not_bounded_is_named(network: Callable[[Tensor], Tensor], words: str) -> None:
    with pytest.raises(NoBoundsError, match=words):
        read_network(network, torch.zeros(1, 4))


def test_what_stands_between_activations_is_tried() -> None:
    """A derivative that autograd was told not to follow is a part that is missing."""

    def unfollowed(x: Tensor) -> Tensor:
        with torch.no_grad():
            rest = 2 * x
        return F.relu(x) + rest

    with pytest.raises(NoBoundsError, match="not affine"):
        read_network(unfollowed, torch.zeros(1, 4))


def test_too_many_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "NEURONS", 3)
    with pytest.raises(NoBoundsError, match="at most 3 neurons"):
        read_network(F.relu, torch.zeros(1, 4))
