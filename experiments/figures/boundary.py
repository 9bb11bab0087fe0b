"""A network of three hidden neurons, and a point on one neuron's line: which gradient is taken there?

Weights and point are binary fractions, so that the neuron's pre-activation is exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adrgd import Box, GradientStep, GraduatedGates, Output, Solver, TrueGates
from adrgd.solvers.solver import GateRule
from adrgd.surrogate import gated, hinge_values, true_pattern
from adrgd.watch import follow

POINT = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
NEURON = 1  # the one whose line goes through POINT
LENGTH = 0.25  # of the steps whose gains are compared
SIGMA = 0.1  # of the graduated gates, in the units of the input


def small_net() -> Output:
    """Two inputs, three hidden neurons, one output."""
    hidden, out = nn.Linear(2, 3), nn.Linear(3, 1)
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[1.0, 0.75], [-0.5, 1.0], [-0.75, -1.0]]))
        hidden.bias.copy_(torch.tensor([0.25, -0.25, 0.25]))
        out.weight.copy_(torch.tensor([[0.5, 1.25, -1.0]]))
        out.bias.zero_()
    return Output(nn.Sequential(hidden, nn.ReLU(), out).double().eval().requires_grad_(False))


@dataclass(frozen=True)
class Choice:
    """A direction at POINT, and how much f grows by a step of `LENGTH` along it."""

    gradient: Tensor
    gain: float


def gradient_under(net: Callable[[Tensor], Tensor], gate: float) -> Tensor:
    """The gradient with the neuron's gate held at `gate` and all others as they are."""
    x = POINT.clone().requires_grad_(True)
    pattern = true_pattern(hinge_values(net, POINT)[1])
    pattern[0][0, NEURON] = gate
    return torch.autograd.grad(gated(net, x, pattern)[0].sum(), x)[0][0]


def gradient_of(net: Callable[[Tensor], Tensor], gates: GateRule) -> Tensor:
    """What a solver with these gates takes for the gradient: one step of rate 1 in a box that does not bind."""
    solver = Solver(gates=gates, step=GradientStep(rate=1.0))
    points = follow(net, POINT, Box(POINT - 10, POINT + 10), solver, steps=1).points
    return (points[1] - points[0])[0]


def choices() -> dict[str, Choice]:
    """Both one-sided gradients, and what plain backpropagation and graduated gates take."""
    net = small_net()
    directions = {
        "dead": gradient_under(net, 0.0),
        "alive": gradient_under(net, 1.0),
        "backpropagation": gradient_of(net, TrueGates()),
        "graduated": gradient_of(net, GraduatedGates(sigma0=SIGMA / 10)),  # the box's radius is 10
    }

    def gain(gradient: Tensor) -> float:
        return float(net(POINT + LENGTH * gradient / gradient.norm()) - net(POINT))

    return {name: Choice(gradient, gain(gradient)) for name, gradient in directions.items()}
