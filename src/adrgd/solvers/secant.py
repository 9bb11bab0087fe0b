"""Graduated gates without probes: how far each neuron moved when x last moved tells its ||P_j||.

The graduated gate of neuron j is Phi(h_j / (sigma ||P_j||)). A random probe of ||P_j|| costs a forward pass; but h_j at
this iterate and at the last one are known anyway, and (h_j - h_j')^2, divided by the mean square of the coordinates of
x - x', is a measurement of ||P_j||^2 along the direction in which x travels. So an iteration costs what one of plain
gradient ascent costs: a forward and a backward pass. It is no unbiased one: neurons that the last step was aimed at
moved more than they would have under noise, and are softened more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from adrgd.activations import LOGISTIC, Slope
from adrgd.gates import Call, Gates, Picked, noting
from adrgd.rows import column
from adrgd.solvers.graduated import NoisyGates
from adrgd.solvers.softened import softened
from adrgd.solvers.solver import Evaluation, Problem, Solver, StepRule, TrueGates
from adrgd.solvers.steps import FROM_TWO_RADII


@dataclass(frozen=True)
class Travel:
    """The state of the secant gates.

    Attributes:
        sigma0: (B,) each row's first sigma, in radii of the domain.
        x: (B, ...) the last iterate.
        h: its pre-activations, one tensor (B, ...) a layer; empty before the first iteration.
        square: the running means of ||P_j||^2 for x measured in radii, alike; empty before the second.
        layers: the gated layers.
        flat: some of them have no slope of their own anywhere.
    """

    sigma0: Tensor
    x: Tensor
    h: list[Tensor]
    square: list[Tensor]
    layers: Picked
    flat: bool


@dataclass(frozen=True, kw_only=True)
class SecantGates(NoisyGates):
    """Gates that anneal from smooth to true, with norms from the last step; the first iteration has true gates."""

    def start(self, problem: Problem, x: Tensor) -> Travel:
        layers, flat = self.look(problem, x)
        h: list[Tensor] = []
        if flat:  # true gates would lead nowhere: a random step is as good a first one as any, for one forward pass
            x = x + problem.random.normal(tuple(x.shape[1:]), "probe", 0, x.dtype) * problem.domain.noise
            with torch.no_grad(), Gates(noting(h), layers):
                problem.score(x)
        return Travel(self.first_sigma(problem, x), x, h, [], layers, flat)

    def evaluate(self, problem: Problem, x: Tensor, state: Travel, t: int) -> Evaluation:
        left = self.left(problem, t, state.flat)
        if left <= 0 or not state.layers:
            score, gradient, *_ = TrueGates().evaluate(problem, x, None, t)
            return Evaluation(score, gradient, replace(state, h=[], square=[]))
        h: list[Tensor] = []
        if not state.h:
            with Gates(noting(h), state.layers):
                score, gradient, *_ = TrueGates().evaluate(problem, x, None, t)
            return Evaluation(score, gradient, replace(state, x=x, h=h))
        tiny = torch.finfo(x.dtype).tiny  # a coordinate that cannot move has no length
        moved = ((x - state.x) / problem.domain.noise.clamp_min(tiny)).flatten(1).square().mean(1)
        square: list[Tensor] = []

        def slope(call: Call) -> Slope:
            k = len(h)
            h.append(call.saved().detach())
            square.append(self._measured(call, state, k, moved))
            inverse = square[k].clamp(min=1e-24).rsqrt_().mul_(column(LOGISTIC / state.sigma0, h[k]))
            return call.phi.soft(call.h, inverse, left)

        score, gradient = softened(problem, x, state.layers, slope)
        return Evaluation(score, gradient, replace(state, x=x, h=h, square=square))

    def _measured(self, call: Call, state: Travel, k: int, moved: Tensor) -> Tensor:
        """The running mean of ||P_j||^2 of the k-th layer; rows that did not move keep theirs."""
        h = call.h
        tiny = torch.finfo(h.dtype).tiny
        fresh = call.moved(state.h[k]).square_().div_(column(moved.clamp(min=tiny), h))
        if not state.square:
            return fresh
        return fresh.lerp_(state.square[k], column(torch.where(moved > tiny, self.memory, 1.0).to(h.dtype), h))


@dataclass(frozen=True, kw_only=True)
class GraduatedSecant(Solver):
    """Graduated gates at the price of plain gradients, under the domain's steepest step from two radii."""

    gates: SecantGates = field(default_factory=SecantGates)
    step: StepRule = FROM_TWO_RADII
