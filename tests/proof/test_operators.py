"""Proofs about networks with operators of all kinds: found where there is room, and never of what is false."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd.bounds.backward import Boxes
from adrgd.bounds.network import Network
from adrgd.bounds.reading import read_network
from adrgd.proof.attempt import start
from adrgd.proof.both import Both
from adrgd.proof.claims import Claims
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.outcome import Outcome


class Inner(nn.Module):
    """A function between two linear maps."""

    def __init__(self, inner: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.LazyLinear(2)
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.inner(self.first(x)))
        return out


INNER: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu, "silu": F.silu, "mish": F.mish, "elu": F.elu, "hardswish": F.hardswish, "sin": torch.sin,
    "max pooling": lambda h: F.max_pool1d(h[:, None], 2).flatten(1), "softmax": lambda h: h.softmax(1),
    "product": lambda h: h[:, :3] * h[:, 3:], "sigmoid": torch.sigmoid, "sign": torch.sign,
    "choice": lambda h: torch.where(h[:, :3] > h[:, 3:], h[:, :3], 2 * h[:, 3:]),
    "step": lambda h: (h >= 0.1).to(h) * h,
    "group norm": lambda h: F.group_norm(h, 1, eps=0.5),
}  # fmt: skip


def said(way: type[InputSplit] | type[NeuronSplit], network: Network, box: Boxes, shift: float) -> Outcome:
    """Of the claim that the first output is at most `shift` somewhere."""
    row = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    counts = torch.ones(1, 1, dtype=torch.bool)
    claims = Claims(box, row, None, torch.tensor([[-shift]], dtype=torch.float64), counts)
    return way(network, claims, lambda x: True).run(time.monotonic() + 20.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", [InputSplit, NeuronSplit])
@pytest.mark.parametrize("name", INNER)
def test_what_is_true_is_proven_and_what_is_false_is_not(name: str, way: type[InputSplit] | type[NeuronSplit]) -> None:
    torch.manual_seed(3)
    net = Inner(INNER[name])
    net(torch.zeros(1, 4))
    net.double().requires_grad_(False)
    network = read_network(net, torch.zeros(1, 4), entries=None if way is InputSplit else 0)
    centre = torch.rand(1, 4, dtype=torch.float64)
    box = Boxes(centre - 0.25, centre + 0.25)
    points = box.lower + torch.rand(4000, 4, dtype=torch.float64) * 0.5
    points[:16] = box.lower + 0.5 * torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).double()
    values = net(points)[:, 0]
    span = float(values.amax() - values.amin())
    room = 0.3 if way is InputSplit else 1.0  # neurons are split at zero alone
    assert said(way, network, box, float(values.amin()) - room * span).proven
    assert not said(way, network, box, float(values.amin()) + 1e-9).proven


@pytest.mark.parametrize(("name", "way"), [("sign", Both), ("step", Both), ("gelu", InputSplit)])
def test_networks_that_jump_are_split_at_inputs_and_neurons(name: str, way: type) -> None:
    torch.manual_seed(3)
    net = Inner(INNER[name])
    net(torch.zeros(1, 4))
    network = read_network(net.double().requires_grad_(False), torch.zeros(1, 4))
    box = Boxes(torch.zeros(1, 4, dtype=torch.float64), torch.ones(1, 4, dtype=torch.float64))
    least = float(net(torch.rand(4000, 4, dtype=torch.float64))[:, 0].amin())
    rows = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    counts = torch.ones(1, 1, dtype=torch.bool)
    for shift, proven in ((-2.0, True), (1e-9, False)):
        claims = Claims(box, rows, None, torch.full((1, 1), -least - shift, dtype=torch.float64), counts)
        proof = start(network, claims, lambda x: True)
        assert type(proof) is way
        found = proof.run(time.monotonic() + 20.0)
        assert (found.proven, found.found) == (proven, not proven)
