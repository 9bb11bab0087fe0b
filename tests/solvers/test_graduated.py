"""The graduated gates: their slopes, their annealing, their cost."""

import math

import pytest
import torch
from torch import Tensor, nn

from adrgd import AdrgdWarning, Box, GraduatedADR, GraduatedGates, UsageError, maximize
from adrgd.activations import PiecewiseLinear
from adrgd.domain import LinfBall
from adrgd.loop import Loop

ACTIVATIONS = {
    "relu": nn.ReLU(),
    "leaky": nn.LeakyReLU(0.2),
    "relu6": nn.ReLU6(),
    "hardtanh": nn.Hardtanh(-0.5, 1.5),
    "prelu": nn.PReLU(init=0.3),
}


def run(network: nn.Module, x: Tensor, gates: GraduatedGates, steps: int = 10, **settings: int) -> Loop:
    def objective(points: Tensor) -> Tensor:
        out: Tensor = network(points).sum(1)
        return out

    return Loop(
        objective, x, Box(-1.0, 1.0), GraduatedADR(gates=gates), steps,
        **({"restarts": 1, "first_restart": 0, "seed": 0} | settings), identity=None, history=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope_is_the_mean_slope_under_noise(name: str) -> None:
    """The gradient is E[phi'(h + sigma ||P|| xi)] for one neuron a coordinate, to the accuracy of the logistic."""
    network = ACTIVATIONS[name].requires_grad_(False)
    x = torch.linspace(-1, 1, 21)[:, None]
    gates = GraduatedGates(sigma0=0.8, until=1.0)
    working = run(network, x, gates)
    state = gates.start(working.problem, x)
    state.remember(0, torch.ones_like(state.inverse[0]))
    evaluation = gates.evaluate(working.problem, x, state, t=0)
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    points = (x + 0.8 * noise).requires_grad_(True)
    (slopes,) = torch.autograd.grad(network(points).sum(), points)
    assert (evaluation.gradient[:, 0] - slopes.mean(1)).abs().max() < 0.015
    assert torch.equal(evaluation.score.value, network(x)[:, 0])


def test_measured_norm_is_unbiased_for_one_layer(mlp: nn.Module) -> None:
    x = torch.zeros(4000, 5)
    gates = GraduatedGates()
    working = run(mlp, x, gates)
    state = gates.start(working.problem, x)
    exact = mlp[0].weight.square().sum(1)
    assert torch.allclose(state.square(0).mean(0), exact, rtol=0.15)


def test_true_gradient_after_the_annealing(mlp: nn.Module) -> None:
    x = torch.rand(3, 5)
    gates = GraduatedGates(until=0.5)
    working = run(mlp, x, gates)
    state = gates.start(working.problem, x)
    late = gates.evaluate(working.problem, x, state, t=5).gradient
    points = x.clone().requires_grad_(True)
    (true,) = torch.autograd.grad(mlp(points).sum(), points)
    assert torch.equal(late, true)
    early = gates.evaluate(working.problem, x, state, t=0).gradient
    assert not torch.allclose(early, true)


def test_tiny_sigma_is_plain_gradient_ascent(mlp: nn.Module) -> None:
    x = torch.rand(3, 5)
    gates = GraduatedGates(sigma0=1e-9)
    working = run(mlp, x, gates)
    evaluation = gates.evaluate(working.problem, x, gates.start(working.problem, x), t=0)
    points = x.clone().requires_grad_(True)
    (true,) = torch.autograd.grad(mlp(points).sum(), points)
    assert torch.allclose(evaluation.gradient, true, atol=1e-6)


def test_restarts_spread_sigma(mlp: nn.Module) -> None:
    gates = GraduatedGates(sigma0=2.0, spread=(0.3, 3.0))
    working = run(mlp, torch.zeros(50, 5), gates, restarts=9)
    sigma0 = gates.start(working.problem, working.x).sigma0
    assert (sigma0[:50] == 2.0).all()
    assert 0.3 <= sigma0[50:].min() < 0.4
    assert 2.5 < sigma0[50:].max() <= 3.0
    assert sigma0[50:].log().mean().item() == pytest.approx(0.5 * math.log(0.3 * 3.0), abs=0.08)


def test_passes_are_counted(mlp: nn.Module) -> None:
    """20 iterations, the last point, two passes to begin with, and probes at 5 and 10 of the 14 soft iterations."""
    x = torch.rand(3, 5)
    solution = maximize(lambda p: mlp(p).sum(1), x, domain=Box(-1.0, 1.0), steps=20)
    assert solution.forwards.tolist() == [20 + 1 + 2 + 2] * 3
    assert solution.backwards.tolist() == [20] * 3


def test_network_without_activations_is_left_alone() -> None:
    with pytest.warns(AdrgdWarning, match="no activation is gated"):
        solution = maximize(lambda x: x.sum(1), torch.zeros(2, 3), domain=Box(-1.0, 1.0), steps=5)
    assert torch.equal(solution.x, torch.ones(2, 3))


def test_only_selected_layers_are_softened(mlp: nn.Module) -> None:
    x = torch.rand(3, 5)
    gradients = []
    for layers in ("all", "last:1", "0", ""):
        gates = GraduatedGates(layers=layers) if layers else GraduatedGates(sigma0=1e-9)
        working = run(mlp, x, gates)
        gradients.append(gates.evaluate(working.problem, x, gates.start(working.problem, x), t=0).gradient)
    assert not any(torch.allclose(a, b) for k, a in enumerate(gradients) for b in gradients[k + 1 :])


@pytest.mark.parametrize(
    "settings", [{"sigma0": 0.0}, {"spread": (2.0, 1.0)}, {"until": 0.0}, {"probe_every": 0}, {"memory": 1.0}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        GraduatedGates(**settings)  # type: ignore[arg-type]


def test_in_place_layers_give_the_same_result(mlp: nn.Sequential) -> None:
    twin = nn.Sequential(*[nn.ReLU(inplace=True) if isinstance(layer, nn.ReLU) else layer for layer in mlp])
    x = torch.rand(4, 5)
    found = [maximize(lambda p, net=net: net(p).sum(1), x, domain=LinfBall(x, 0.5), steps=20).x for net in (mlp, twin)]
    assert torch.equal(found[0], found[1])


def test_piecewise_mix_covers_tensors() -> None:
    phi = PiecewiseLinear((0.0,), (1 - torch.tensor([0.1, 0.2]),), torch.tensor([0.1, 0.2]))
    assert torch.allclose(phi.mix([torch.tensor([[1.0, 0.0]])]), torch.tensor([[1.0, 0.2]]))
