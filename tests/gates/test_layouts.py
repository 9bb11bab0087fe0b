"""The rows of a layer are found wherever the network has put them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import normal
from torch import Tensor

from adrgd import Box, maximize
from adrgd.gates import find_layers, look
from adrgd.gates.layouts import Layout, tell
from adrgd.solvers import SOLVERS, make_solver

WEIGHT = normal(12, 12, seed=3)

Place = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, int], Tensor]]

PLACES: dict[str, Place] = {
    "(B, T, d)": (lambda h: h, lambda a, n: a),
    "(T, B, d)": (lambda h: h.transpose(0, 1), lambda a, n: a.transpose(0, 1)),
    "(B T, d)": (lambda h: h.flatten(0, 1), lambda a, n: a.unflatten(0, (n, -1))),
    "(T B, d)": (lambda h: h.transpose(0, 1).flatten(0, 1), lambda a, n: a.unflatten(0, (-1, n)).transpose(0, 1)),
    "(d, T, B)": (lambda h: h.permute(2, 1, 0), lambda a, n: a.permute(2, 1, 0)),
}
"""To where the activation is called, and back."""


def network(place: str, phi: Callable[[Tensor], Tensor] = F.relu) -> Callable[[Tensor], Tensor]:
    there, back = PLACES[place]

    def run(x: Tensor) -> Tensor:
        h = (x @ WEIGHT).view(len(x), 3, 4)
        return back(phi(there(h)), len(x)).flatten(1) @ WEIGHT[:, 0]

    return run


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_layer_has_its_rows_first(place: str, count: int) -> None:
    (layer,) = find_layers(network(place), normal(count, 12))
    assert layer.neurons == 12
    h = (normal(count, 12) @ WEIGHT).view(count, 3, 4)
    seen = layer.layout.rows_first(PLACES[place][0](h))
    assert len(seen) == count
    assert torch.equal(layer.layout.back(seen), PLACES[place][0](h))
    if count > 1:
        assert all(torch.allclose(seen[k].sum(), h[k].sum()) for k in range(count))


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in ("gd", "noisy-gd", "perturbed-gd")])
@pytest.mark.parametrize("place", [place for place in PLACES if place != "(B, T, d)"])
def test_a_solver_finds_the_same_wherever_the_rows_are(place: str, name: str) -> None:
    x0 = 0.3 * normal(4, 12, seed=5)
    settings = {"domain": Box(-1, 1), "solver": make_solver(name), "steps": 6, "restarts": 2, "check": False}
    expected, found = (maximize(network(where), x0, **settings) for where in ("(B, T, d)", place))
    torch.testing.assert_close(found.x, expected.x, rtol=1e-9, atol=1e-9)


def test_a_choice_leaves_the_rows_alone() -> None:
    def net(x: Tensor) -> Tensor:
        h = x @ WEIGHT
        return torch.stack([h, h.flip(1)]).amax(0).sum(1)

    (layer,) = look(net, normal(4, 12)).layers
    assert layer.shape == (2, 12)


def test_layers_that_mix_rows_are_listed_with_a_reason() -> None:
    inventory = look(lambda x: F.relu(x.sum(0, keepdim=True)).sum() + x.sum(1), normal(3, 4))
    assert inventory.layers == ()
    (other,) = inventory.others
    assert "rows cannot be told apart" in other.why
    assert not other.own


def test_tell_needs_a_change_only_where_shapes_leave_a_doubt() -> None:
    assert tell((4, 7), 4, None) == Layout()
    assert tell((7, 4), 4, None) == Layout(dim=1)
    assert tell((5, 7), 4, None) is None
    changed = torch.zeros(8, 2, dtype=torch.bool)
    changed[::4] = True
    assert tell((8, 2), 4, changed) == Layout("turns", each=2)
    assert tell((8, 2), 4, torch.ones(8, 2, dtype=torch.bool)) is None
