"""The two cheap backward surrogates: their slopes, their annealing, their cost."""

import pytest
import torch
from torch import Tensor, nn

from adrgd import AdrgdWarning, Box, UsageError, maximize
from adrgd.loop import Loop
from adrgd.solvers import LeakyGates, LeakyPGD, SigmoidGates, SigmoidPGD, Solver, Steepest

Gates = LeakyGates | SigmoidGates


def gradient(network: nn.Module, x: Tensor, gates: Gates, t: int = 0, steps: int = 10) -> tuple[Tensor, Tensor]:
    """The value at x and the gradient that the gates give at iteration t."""
    solver = Solver(gates=gates, step=Steepest())
    run = Loop(
        lambda points: network(points).sum(1), x, Box(-1.0, 1.0), solver, steps, restarts=1, first_restart=0, seed=0,
        identity=None, history=False,
    )  # fmt: skip
    evaluation = gates.evaluate(run.problem, x, gates.start(run.problem, x), t)
    return evaluation.score.value, evaluation.gradient


def true_gradient(network: nn.Module, x: Tensor) -> Tensor:
    points = x.clone().requires_grad_(True)
    (found,) = torch.autograd.grad(network(points).sum(), points)
    return found


@pytest.mark.parametrize("t", [0, 3])
def test_leaky_relu_is_what_the_leak_makes_of_a_relu(mlp: nn.Sequential, t: int) -> None:
    """Behind one gated layer nothing else is softened, and nn.LeakyReLU has the same gradient."""
    x = torch.linspace(-1, 1, 20).view(4, 5)
    leak = 0.4 * (1 - t / 7)
    one = nn.Sequential(mlp[0], nn.ReLU())
    leaky = nn.Sequential(mlp[0], nn.LeakyReLU(leak))
    value, found = gradient(one, x, LeakyGates(leak0=0.4), t)
    assert torch.allclose(found, true_gradient(leaky, x), atol=1e-6)
    assert torch.equal(value, one(x).sum(1))


@pytest.mark.parametrize(
    ("activation", "outside", "inside"),
    [(nn.ReLU6(), [-1.0, 7.0], [3.0]), (nn.Hardtanh(), [-1.5, 1.5], [0.0]), (nn.Hardtanh(0, 1), [-0.5, 1.5], [0.5])],
)
def test_leak_opens_both_ends_of_a_bounded_activation(
    activation: nn.Module, outside: list[float], inside: list[float]
) -> None:
    slopes = [
        gradient(activation, torch.tensor(points)[:, None], LeakyGates(leak0=0.3))[1] for points in (outside, inside)
    ]
    assert torch.allclose(slopes[0], torch.tensor(0.3))
    assert torch.allclose(slopes[1], torch.tensor(1.0))


def test_leak_respects_slopes_of_its_own() -> None:
    x = torch.tensor([[-1.0], [1.0]])
    for activation in (nn.LeakyReLU(0.2), nn.PReLU(init=0.2).requires_grad_(False)):
        assert torch.allclose(gradient(activation, x, LeakyGates(leak0=0.5))[1], torch.tensor([[0.6], [1.0]]))


def test_sigmoid_is_as_wide_as_the_layer_is_large() -> None:
    x = torch.tensor([[-0.5, 0.1, 0.7], [0.2, -0.9, 0.4]])
    rms = x.square().mean(1, keepdim=True).sqrt()
    _, found = gradient(nn.ReLU(), x, SigmoidGates(width0=0.8))
    assert torch.allclose(found, torch.sigmoid(x / (0.8 * rms)), atol=1e-6)
    _, scaled = gradient(nn.ReLU(), 0.1 * x, SigmoidGates(width0=0.8))
    assert torch.allclose(scaled, found, atol=1e-6)


@pytest.mark.parametrize("gates", [LeakyGates(until=0.5), SigmoidGates(until=0.5)])
def test_true_gradient_after_the_annealing(mlp: nn.Module, gates: Gates) -> None:
    x = torch.linspace(-1, 1, 15).view(3, 5)
    assert torch.equal(gradient(mlp, x, gates, t=5)[1], true_gradient(mlp, x))
    assert not torch.allclose(gradient(mlp, x, gates, t=4)[1], true_gradient(mlp, x))


@pytest.mark.parametrize("solver", [LeakyPGD(), SigmoidPGD()])
def test_no_pass_beyond_those_of_gradient_ascent(mlp: nn.Module, solver: Solver) -> None:
    solution = maximize(lambda p: mlp(p).sum(1), torch.zeros(3, 5), domain=Box(-1.0, 1.0), solver=solver, steps=20)
    assert solution.forwards.tolist() == [21] * 3
    assert solution.backwards.tolist() == [20] * 3


@pytest.mark.parametrize("solver", [LeakyPGD(), SigmoidPGD()])
def test_in_place_layers_give_the_same_result(mlp: nn.Sequential, solver: Solver) -> None:
    twin = nn.Sequential(*[nn.ReLU(inplace=True) if isinstance(layer, nn.ReLU) else layer for layer in mlp])
    found = [
        maximize(lambda p, net=net: net(p).sum(1), torch.zeros(3, 5), domain=Box(-1.0, 1.0), solver=solver, steps=20).x
        for net in (mlp, twin)
    ]
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize("solver", [LeakyPGD(), SigmoidPGD()])
def test_network_without_activations_is_left_alone(solver: Solver) -> None:
    with pytest.warns(AdrgdWarning, match="no activation is gated"):
        solution = maximize(lambda x: x.sum(1), torch.zeros(2, 3), domain=Box(-1.0, 1.0), solver=solver, steps=5)
    assert torch.equal(solution.x, torch.ones(2, 3))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(LeakyGates, {"leak0": 0.0}), (LeakyGates, {"leak0": 1.5}), (LeakyGates, {"until": 0.0}),
     (SigmoidGates, {"width0": 0.0}), (SigmoidGates, {"until": 2.0})],
)  # fmt: skip
def test_impossible_settings_are_refused(kind: type[Gates], settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        kind(**settings)
