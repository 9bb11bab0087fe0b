"""Activations that are not piecewise linear: their softened slopes against the noise that they stand for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd import Box, maximize
from adrgd.activations import SIGMOID, SIGN, TANH, Activation, Factor, MaxPool, SShaped
from adrgd.errors import UsageError
from adrgd.gates import Call, Gates, find_layers, select
from adrgd.solvers import GraduatedADR
from adrgd.surrogate import hinge_values

LOGISTIC = 1.702
GRID = torch.linspace(-6, 6, 241, dtype=torch.float64)[None]


def soft_factor(phi: SShaped, h: Tensor, deviation: float) -> Tensor:
    slope = phi.soft(h, torch.full_like(h, LOGISTIC / deviation), 1.0)
    assert isinstance(slope, Factor)
    return slope.factor


def mean_slope(derivative: Callable[[Tensor], Tensor], h: Tensor, deviation: float) -> Tensor:
    """E[phi'(h + s xi)] by the trapezium rule, which is as good as exact on a smooth integrand that vanishes."""
    xi = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    share = torch.softmax(-(xi**2) / 2, 0)
    return (derivative(h[..., None] + deviation * xi) * share).sum(-1)


@pytest.mark.parametrize("deviation", [0.1, 0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize(
    ("phi", "derivative"),
    [
        (SIGMOID, lambda h: torch.sigmoid(h) * torch.sigmoid(-h)),
        (TANH, lambda h: 1 - torch.tanh(h) ** 2),
    ],
)
def test_smooth_slopes_are_means_under_noise(
    phi: SShaped, derivative: Callable[[Tensor], Tensor], deviation: float
) -> None:
    expected = mean_slope(derivative, GRID, deviation)
    found = soft_factor(phi, GRID, deviation)
    assert (found - expected).abs().max() < 0.085 * expected.max()  # the logistic curve for the normal one


@pytest.mark.parametrize("deviation", [0.1, 1.0, 3.0])
def test_the_slope_of_a_sign_is_twice_a_normal_density(deviation: float) -> None:
    density = torch.distributions.Normal(0.0, deviation).log_prob(GRID).exp()
    found = soft_factor(SIGN, GRID, deviation)
    assert (found - 2 * density).abs().max() < 0.085 * 2 * density.max()
    wide = 2 * deviation * GRID
    height = torch.trapezoid(soft_factor(SIGN, wide, deviation), wide)
    torch.testing.assert_close(height, torch.tensor([2.0], dtype=torch.float64), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("phi", "function"),
    [(SIGMOID, torch.sigmoid), (TANH, torch.tanh), (SIGN, torch.sign)],
    ids=["sigmoid", "tanh", "sign"],
)
def test_values(phi: Activation, function: Callable[[Tensor], Tensor]) -> None:
    torch.testing.assert_close(phi.value(GRID), function(GRID), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("phi", "function"), [(SIGMOID, torch.sigmoid), (TANH, torch.tanh)], ids=["sigmoid", "tanh"])
def test_without_noise_the_slope_is_the_derivative(phi: SShaped, function: Callable[[Tensor], Tensor]) -> None:
    h = GRID.clone().requires_grad_(True)
    (derivative,) = torch.autograd.grad(function(h).sum(), h)
    torch.testing.assert_close(soft_factor(phi, GRID, 1e-6), derivative, rtol=1e-9, atol=1e-12)


POOLS = {
    "2d": (nn.MaxPool2d(2), (3, 6, 6)),
    "2d overlapping, padded": (nn.MaxPool2d(3, 2, 1), (2, 7, 6)),
    "2d dilated": (nn.MaxPool2d(2, 1, dilation=2), (1, 6, 6)),
    "2d rounded up": (nn.MaxPool2d(3, 2, ceil_mode=True), (2, 6, 8)),
    "2d uneven": (nn.MaxPool2d((1, 3), (2, 1), (0, 1)), (2, 5, 6)),
    "1d": (nn.MaxPool1d(3, 2), (2, 9)),
    "3d": (nn.MaxPool3d(2), (2, 4, 4, 4)),
}


@pytest.fixture(params=POOLS, ids=list(POOLS))
def pool(request: pytest.FixtureRequest) -> tuple[nn.Module, MaxPool, Tensor]:
    module, shape = POOLS[request.param]
    h = torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (layer,) = find_layers(module, h, every=True)
    assert isinstance(layer.phi, MaxPool)
    return module, layer.phi, h


def test_max_pooling_is_recognised_with_its_arguments(pool: tuple[nn.Module, MaxPool, Tensor]) -> None:
    module, phi, h = pool
    torch.testing.assert_close(phi.value(h), module(h), rtol=0, atol=0)


def test_without_noise_pooling_pulls_the_true_gradient(pool: tuple[nn.Module, MaxPool, Tensor]) -> None:
    module, phi, h = pool
    h = h.requires_grad_(True)
    out = module(h)
    upstream = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(out, h, upstream)
    slope = phi.soft(h.detach(), torch.full_like(h, 1e9), 1.0)
    torch.testing.assert_close(slope.pull(upstream), expected)


def test_pooling_pulls_the_transpose_of_what_it_pushes(pool: tuple[nn.Module, MaxPool, Tensor]) -> None:
    module, phi, h = pool
    slope = phi.soft(h, torch.full_like(h, 0.7), 0.5)
    random = torch.Generator().manual_seed(2)
    difference = torch.randn(h.shape, dtype=h.dtype, generator=random)
    gradient = torch.randn(module(h).shape, dtype=h.dtype, generator=random)
    pushed = (slope.push(difference) * gradient).sum()
    torch.testing.assert_close(pushed, (difference * slope.pull(gradient)).sum())


def test_soft_pooling_spreads_the_whole_gradient(pool: tuple[nn.Module, MaxPool, Tensor]) -> None:
    module, phi, h = pool
    ones = torch.ones_like(module(h))
    slope = phi.soft(h, torch.full_like(h, 0.7), 0.5)
    torch.testing.assert_close(slope.pull(ones).sum(), ones.sum())
    torch.testing.assert_close(slope.push(torch.ones_like(h))[..., 1:], ones[..., 1:]) if "pad" not in str(
        module
    ) else None


def test_the_weights_of_two_entries_are_the_chances_that_each_is_larger() -> None:
    h, deviation = torch.tensor([[[0.3, 0.0]]], dtype=torch.float64), 0.5
    slope = MaxPool((2,), (2,), (0,), (1,), False).soft(h, torch.full_like(h, LOGISTIC / deviation), 1.0)
    first = slope.pull(torch.ones(1, 1, 1, dtype=torch.float64))[0, 0, 0]
    chance = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(0.3 / (deviation * 2**0.5)))
    assert abs(first - chance) < 0.01


class Mixed(nn.Module):
    """One layer of each kind."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.relu(x), 2)
        return torch.tanh(x).flatten(1).sum(1)


def test_rules_that_need_hinges_see_only_hinges() -> None:
    x = torch.randn(2, 1, 4, 4)
    assert [layer.name for layer in find_layers(Mixed(), x)] == ["relu"]
    assert [layer.name for layer in find_layers(Mixed(), x, every=True)] == ["relu", "max_pool2d", "tanh"]
    assert len(hinge_values(Mixed(), x)[1]) == 1


def test_pools_have_no_number_but_belong_to_all() -> None:
    every = find_layers(Mixed(), torch.randn(2, 1, 4, 4), every=True)
    assert select("all", every) == {0, 1, 2}
    assert select("last:2", every) == {0, 2}
    assert select("1", every) == {2}


def test_hinges_of_another_layer_are_an_error() -> None:
    with (
        pytest.raises(UsageError, match="not piecewise linear"),
        Gates(lambda call: call.hinges.value(call.h), frozenset({0})),
    ):
        torch.sign(torch.randn(2, 2))


def test_other_calls_of_the_same_functions_pass() -> None:
    seen: list[Call] = []

    def rule(call: Call) -> Tensor:
        seen.append(call)
        return call.original()

    with Gates(rule, every=True):
        torch.sign(torch.arange(3))
        torch.tanh(torch.randn(2), out=torch.empty(2))
    assert not seen


def test_graduated_gates_climb_where_the_true_gradient_is_zero() -> None:
    """Twenty-one binary units; the most that the output can be is their number."""
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(21, 8, generator=generator), 0.3 * torch.randn(21, generator=generator)
    target = torch.sign(weight @ torch.rand(8, generator=generator) + bias)

    def agreement(x: Tensor) -> Tensor:
        return (torch.sign(x @ weight.T + bias) * target).sum(1)

    solution = maximize(agreement, torch.zeros(1, 8), domain=Box(-1, 1), solver=GraduatedADR(), steps=100, restarts=8)
    assert solution.value.item() == 21
