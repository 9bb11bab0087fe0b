"""The sum of hinges that stands for an activation is that activation."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import FORMS, Form
from torch import Tensor, nn

from adrgd.activations import PiecewiseLinear
from adrgd.gates import Call, Gates

GRID = torch.linspace(-8, 8, 6 * 40, dtype=torch.float64).view(40, 6)


def phi_of(form: Form, h: Tensor) -> PiecewiseLinear:
    found: list[PiecewiseLinear] = []

    def rule(call: Call) -> Tensor:
        found.append(call.phi)
        return call.original()

    with Gates(rule):
        form(h.clone())
    (phi,) = found
    return phi


def true_gates(phi: PiecewiseLinear, h: Tensor) -> list[Tensor]:
    return [(h >= at).to(h.dtype) for at in phi.breaks]


@pytest.fixture(params=[name for name in FORMS if "view" not in name])
def form(request: pytest.FixtureRequest) -> Form:
    return copy.deepcopy(FORMS[request.param])


def test_value(form: Form) -> None:
    torch.testing.assert_close(phi_of(form, GRID).value(GRID), form(GRID.clone()), rtol=1e-14, atol=1e-14)


def test_gated_at_the_true_gates_is_the_value(form: Form) -> None:
    phi = phi_of(form, GRID)
    torch.testing.assert_close(phi.gated(GRID, true_gates(phi, GRID)), form(GRID.clone()), rtol=1e-14, atol=1e-14)


def test_mix_of_the_true_gates_is_the_slope(form: Form) -> None:
    phi = phi_of(form, GRID)
    h = GRID.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(form(h * 1.0).sum(), h)
    torch.testing.assert_close(phi.mix(true_gates(phi, GRID)), slope, rtol=1e-14, atol=1e-14)


def test_mix_is_linear_between_closed_and_open(form: Form) -> None:
    phi = phi_of(form, GRID)
    half = phi.mix([torch.full_like(GRID, 0.5) for _ in phi.breaks])
    ends = [phi.mix([torch.full_like(GRID, share) for _ in phi.breaks]) for share in (0.0, 1.0)]
    torch.testing.assert_close(half, (ends[0] + ends[1]) / 2)


def test_channels_of_prelu_follow_the_second_dimension() -> None:
    form = nn.PReLU(3).double()
    with torch.no_grad():
        form.weight.copy_(torch.tensor([0.1, 0.2, 0.3]))
    h = -torch.ones(2, 3, 4, 5, dtype=torch.float64)
    phi = phi_of(form, h)
    assert not phi.is_relu
    torch.testing.assert_close(phi.value(h)[0, :, 0, 0], -form.weight.detach())
    assert phi.mix(true_gates(phi, h)).shape == h.shape


def test_an_infinite_bound_is_no_break() -> None:
    assert phi_of(FORMS["clamp up to infinity"], GRID).is_relu
    assert phi_of(FORMS["clamp from minus infinity"], GRID).breaks == (0.25,)
