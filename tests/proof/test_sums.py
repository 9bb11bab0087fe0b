"""Functions that exclude each other without either excluding itself: their sum refutes what none of them does."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from adrgd.bounds.backward import Boxes
from adrgd.bounds.reading import read_network
from adrgd.proof.claims import Claims
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.outcome import Outcome

INPUTS = 16


def claims_of(on_outputs: Tensor, offset: Tensor, counts: Tensor | None = None) -> Claims:
    cases = len(on_outputs)
    corner = torch.ones(cases, INPUTS, dtype=torch.float64)
    if counts is None:
        counts = torch.ones(offset.shape, dtype=torch.bool)
    return Claims(Boxes(-corner, corner), on_outputs.double(), None, offset.double(), counts)


def proof_of(net: nn.Module, claims: Claims, seconds: float = 10.0) -> Outcome:
    network = read_network(net.double().requires_grad_(False), torch.zeros(1, INPUTS))
    return NeuronSplit(network, claims, lambda x: True).run(time.monotonic() + seconds)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_two_functions_that_cannot_both_hold(scale: float) -> None:
    """y <= -1 and y >= 1, each of which a point reaches."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(INPUTS, 6), nn.ReLU(), nn.Linear(6, 1))
    rows = torch.tensor([[[1.0], [-scale]]])
    outcome = proof_of(net, claims_of(rows, torch.tensor([[0.01, 0.01 * scale]])))
    assert outcome.proven
    assert outcome.nodes <= 2  # no neuron has to be split


def test_rows_that_do_not_count_are_in_no_sum() -> None:
    """The second case has one function alone, which holds somewhere; a second row of zeros would refute it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(INPUTS, 6), nn.ReLU(), nn.Linear(6, 1))
    rows = torch.tensor([[[1.0], [-1.0]], [[1.0], [0.0]]])
    offset = torch.tensor([[0.01, 0.01], [0.0, 5.0]])
    counts = torch.tensor([[True, True], [True, False]])
    assert proof_of(net, claims_of(rows, offset, counts)).found


@pytest.mark.parametrize("seed", range(4))
def test_a_conjunction_of_four_is_proven_where_it_holds_and_found_where_not(seed: int) -> None:
    """That one output is below three others, by so much that it is never; and by so little that it may be."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(INPUTS, 8), nn.ReLU(), nn.Linear(8, 4)).double()
    x = 2 * torch.rand(20_000, INPUTS, dtype=torch.float64) - 1
    with torch.no_grad():
        y = net(x)
    others = torch.eye(4)[0] - torch.eye(4)[1:]
    least = (y @ others.double().T).amax(1).min()
    true, false = (torch.full((1, 3), float(-least + more)) for more in (2.0, -0.05))
    assert proof_of(net, claims_of(others[None], true)).proven
    assert not proof_of(net, claims_of(others[None], false), 1.0).proven
