"""The slope that noise leaves of every activation, against the mean of its derivative by quadrature."""

from __future__ import annotations

import pytest
import torch
from members import MEMBERS, Member
from torch import Tensor

from adrgd.activations import LOGISTIC, Activation, Factor, blocks
from adrgd.activations.quadrature import by_quadrature
from adrgd.gates import Call, Gates

H = torch.cat([torch.linspace(-20, 20, 9), torch.linspace(-3.4, 3.6, 13)]).double()
S = torch.tensor([1e-6, 1e-3, 0.03, 0.2, 0.6, 1, 1.8, 5, 20, 150, 1e3], dtype=torch.float64)


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest) -> Member:
    return MEMBERS[request.param]


def phi_of(member: Member) -> Activation:
    found: list[Activation] = []

    def rule(call: Call) -> Tensor:
        found.append(call.phi)
        return call.original()

    with Gates(rule, every=True):
        member.forms[0](H.clone())
    return found[0]


def soft(phi: Activation, h: Tensor, s: Tensor) -> Tensor:
    slope = phi.soft(h, (LOGISTIC / s).expand_as(h), 1.0)
    assert isinstance(slope, Factor)
    return slope.factor


def grid(member: Member) -> tuple[Tensor, Tensor]:
    h, s = (t.flatten() for t in torch.meshgrid(H, S, indexing="ij"))
    kept = s <= member.reach
    return h[kept], s[kept]


def test_it_is_the_mean_of_the_derivative(member: Member) -> None:
    phi, (h, s) = phi_of(member), grid(member)
    function = member.forms[0]
    expected = by_quadrature(lambda h: function(h.detach()) if phi.is_flat else function(h), h, s, member.kinks)
    scale = s.reciprocal().clamp_min(1) if member.jumps else torch.ones_like(s)
    error = (soft(phi, h, s) - expected).abs() / scale
    assert error.max() <= member.error, f"{error.max():.2g} at h = {h[error.argmax()]}, s = {s[error.argmax()]:.3g}"


def test_single_precision_costs_little(member: Member) -> None:
    h, s = grid(member)
    h, s = h.float(), s.float()
    double, single = soft(phi_of(member), h.double(), s.double()), soft(phi_of(member), h, s)
    assert ((single - double).abs() <= 1e-4 * double.abs().clamp_min(1)).all()


def test_without_noise_it_is_the_derivative(member: Member) -> None:
    h = 4 * torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kinks = torch.tensor(member.kinks, dtype=torch.float64)
    h = h[((h[:, None] - kinks).abs() > 0.01).all(1)].requires_grad_(True)
    phi = phi_of(member)
    slope = torch.zeros_like(h) if phi.is_flat else torch.autograd.grad(member.forms[0](h).sum(), h)[0]
    h = h.detach()
    assert (soft(phi, h, torch.full_like(h, 1e-4)) - slope).abs().max() <= member.fit


@pytest.mark.parametrize("deviation", [1e-12, 1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_it_is_finite_everywhere(member: Member, deviation: float) -> None:
    large = torch.logspace(-30, 6, 37)
    h = torch.cat([-large, torch.zeros(1), large, torch.tensor(member.kinks)]).float()
    assert soft(phi_of(member), h, torch.full_like(h, deviation)).isfinite().all()


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "transposed"])
@pytest.mark.parametrize("noise", ["its own", "one a row"])
def test_blocks_change_nothing(member: Member, layout: str, noise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    h = torch.randn(6, 3, 8, 8, generator=random, dtype=torch.float64)
    inverse = torch.rand(h.shape if noise == "its own" else (6, 1, 1, 1), generator=random, dtype=torch.float64) + 0.5
    kept = inverse.clone()
    phi = phi_of(member)
    whole = phi.soft(h, inverse, 0.7).pull(torch.ones_like(h))
    if layout == "channels last":
        h, inverse = h.to(memory_format=torch.channels_last), inverse.to(memory_format=torch.channels_last)
    elif layout == "transposed":
        h, inverse = h.mT.contiguous().mT, inverse.mT.contiguous().mT
    monkeypatch.setattr(blocks, "BLOCK", 100)
    torch.testing.assert_close(phi.soft(h, inverse, 0.7).pull(torch.ones_like(h)), whole, rtol=1e-13, atol=1e-14)
    assert torch.equal(inverse, kept)


def test_gated_monotone_activations_never_turn_a_gradient_round() -> None:
    """Where a loss is a saturated softplus or sigmoid, a slope below zero would lead the wrong way."""
    h, s = (t.flatten() for t in torch.meshgrid(torch.linspace(-30, 30, 61), S.float(), indexing="ij"))
    for name in ("softplus", "logsigmoid", "sigmoid", "tanh", "elu", "selu", "celu", "softsign", "atan", "erf", "relu"):
        assert (soft(phi_of(MEMBERS[name]), h, s) >= 0).all(), name
