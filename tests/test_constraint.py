"""Equation 8 and its gradients, against loops over neurons and the formulas of section 5.2."""

from __future__ import annotations

import pytest
import torch
from networks import Mlp, normal
from torch import Tensor

from adrgd.surrogate import constraint_loss, hinge_values, true_pattern

NET = Mlp(5, 9, 7, 1)
X = normal(8, 5)


def case(seed: int = 0) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
    """x and eta to differentiate by, h there, and any positive norms."""
    x = X.clone().requires_grad_(True)
    _, hinges = hinge_values(NET, x)
    random = torch.Generator().manual_seed(seed)
    eta = [torch.rand(h.shape, generator=random, dtype=h.dtype).requires_grad_(True) for h in hinges]
    norms = [0.5 + torch.rand(h.shape, generator=random, dtype=h.dtype) for h in hinges]
    return x, hinges, eta, norms


def terms(h: float, eta: float, length: float) -> tuple[float, float]:
    """The two brackets of equation 8 for one neuron."""
    return max(h / length * max(0.5 - eta, 0), 0), max(-h / length * max(eta - 0.5, 0), 0)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("reduction", ["sum", "max"])
def test_loss_against_a_loop(reduction: str, normalised: bool) -> None:
    _, hinges, eta, norms = case()
    found = constraint_loss(hinges, eta, norms if normalised else None, reduction)
    assert found.shape == (len(X),)
    for row in range(len(X)):
        expected = 0.0
        for i, h in enumerate(hinges):
            pairs = [
                terms(h[row, j].item(), eta[i][row, j].item(), norms[i][row, j].item() if normalised else 1.0)
                for j in range(h.shape[1])
            ]
            gather = sum if reduction == "sum" else max
            expected += gather(pair[0] for pair in pairs) + gather(pair[1] for pair in pairs)
        assert found[row].item() == pytest.approx(expected, rel=1e-12)


def test_neurons_of_every_shape_are_flattened() -> None:
    h, eta = normal(3, 2, 4, 5), normal(3, 2, 4, 5, seed=1)
    for reduction in ("sum", "max"):
        flat = constraint_loss([h.flatten(1)], [eta.flatten(1)], None, reduction)
        assert torch.equal(constraint_loss([h], [eta], None, reduction), flat)


def inconsistent(h: Tensor, eta: Tensor) -> Tensor:
    """+1 where the first indicator of equation 11 holds, -1 where the second does, else 0."""
    active_but_low = (h * (0.5 - eta).clamp_min(0) > 0).to(h.dtype)
    silent_but_high = (-h * (eta - 0.5).clamp_min(0) > 0).to(h.dtype)
    return active_but_low - silent_but_high


def equation_11(weights: list[Tensor], hinges: list[Tensor], eta: list[Tensor], norms: list[Tensor]) -> Tensor:
    """Its second term without beta, each neuron's part times its weight; dh/dx is the original network's."""
    pattern = true_pattern(hinges)
    total = torch.zeros_like(X)
    for row in range(len(X)):
        slopes = NET.rows_by_hand([v[row] for v in pattern])[:-1]
        for i, slope in enumerate(slopes):
            for j in range(len(slope)):
                sign = inconsistent(hinges[i][row, j], eta[i][row, j])
                total[row] += weights[i][row, j] * sign * slope[j] / norms[i][row, j]
    return total


def test_gradient_on_x() -> None:
    """Equation 11's second term, each neuron weighted by |eta - 1/2|: the derivative of equation 8 has that factor, and
    equation 11 as printed leaves it out."""
    x, hinges, eta, norms = case()
    (gradient,) = torch.autograd.grad(constraint_loss(hinges, eta, norms).sum(), x)
    with torch.no_grad():
        expected = equation_11([(e - 0.5).abs() for e in eta], hinges, eta, norms)
    assert (expected != 0).any(1).all()
    torch.testing.assert_close(gradient, expected)


def test_gradient_on_x_is_equation_11_when_all_eta_are_equally_far() -> None:
    """With |eta - 1/2| the same for all neurons the factor is one constant, here .01."""
    x, hinges, eta, norms = case()
    eta = [0.5 + 0.01 * (e - 0.5).sign().detach() for e in eta]
    (gradient,) = torch.autograd.grad(constraint_loss(hinges, eta, norms).sum(), x)
    with torch.no_grad():
        expected = equation_11([torch.ones_like(e) for e in eta], hinges, eta, norms)
    torch.testing.assert_close(gradient / 0.01, expected)


def test_gradient_on_eta() -> None:
    """The last equation of section 5.2, with the sign of the derivative of equation 8: -h / ||P|| where inconsistent.

    As printed, sgn_hat(h) h / ||P|| = |h| / ||P|| is positive for an active neuron too, and descending along it would
    move eta away from 1/2; the two agree for an inactive one.
    """
    _, hinges, eta, norms = case()
    gradients = torch.autograd.grad(constraint_loss(hinges, eta, norms).sum(), eta)
    for h, e, length, gradient in zip(hinges, eta, norms, gradients, strict=True):
        wrong = (h * (0.5 - e) > 0).to(h.dtype)
        printed = (2 * (h > 0).to(h.dtype) - 1) * wrong * h / length
        torch.testing.assert_close(gradient, -wrong * h / length)
        torch.testing.assert_close(gradient.abs(), printed)
        torch.testing.assert_close(gradient[h < 0], printed[h < 0])
        assert {-1.0, 0.0, 1.0} == set(gradient.sign().unique().tolist())


@pytest.mark.parametrize("reduction", ["sum", "max"])
def test_descending_on_eta_restores_the_pattern(reduction: str) -> None:
    _, hinges, eta, _ = case()
    hinges = [h.detach() for h in hinges]
    for _ in range(1500):
        loss = constraint_loss(hinges, eta, None, reduction).sum()
        moves = torch.autograd.grad(loss, eta)
        eta = [(e - 0.01 * move).detach().requires_grad_(True) for e, move in zip(eta, moves, strict=True)]
    assert loss.item() < 1e-3


@pytest.mark.parametrize("reduction", ["sum", "max"])
def test_a_feasible_pattern_costs_nothing_and_pulls_nowhere(reduction: str) -> None:
    """sgn(0) = 0: neither h = 0 nor eta = 1/2 sends a gradient."""
    h = torch.tensor([[0.0, 0.0, 0.0, 2.0, -2.0, 3.0, -3.0]], requires_grad=True)
    eta = torch.tensor([[0.4, 0.5, 0.6, 0.5, 0.5, 0.9, 0.1]], requires_grad=True)
    loss = constraint_loss([h], [eta], [torch.ones_like(h)], reduction).sum()
    assert loss.item() == 0
    for gradient in torch.autograd.grad(loss, [h, eta]):
        assert not gradient.any()


def test_max_pulls_the_largest_violation_of_each_sign() -> None:
    h = torch.tensor([[1.0, 3.0, -1.0, -2.0, 5.0]], requires_grad=True)
    eta = torch.tensor([[0.4, 0.3, 0.7, 0.9, 0.9]])
    loss = constraint_loss([h], [eta], None, "max")
    (gradient,) = torch.autograd.grad(loss.sum(), h)
    assert loss.item() == pytest.approx(3 * 0.2 + 2 * 0.4)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 0.2, 0.0, -0.4, 0.0]]))


def test_norms_are_constants() -> None:
    _, hinges, eta, norms = case()
    norms = [length.requires_grad_(True) for length in norms]
    loss = constraint_loss(hinges, eta, norms).sum()
    assert torch.autograd.grad(loss, norms, allow_unused=True) == (None, None)
