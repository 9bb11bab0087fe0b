"""GraduatedADR: the gates of the backward pass are the probabilities that each neuron is active under Gaussian noise.

    eta_j = Phi(h_j / (sigma ||P_j||))

is the chance that neuron j is active when the input moves by N(0, sigma^2 I): the paper's relaxed activation pattern,
with its scale set by the geometry instead of searched. The forward pass stays the true network. sigma starts at
`sigma0` radii of the domain and falls linearly to zero, so that the first steps see the landscape beyond the current
polytope and the last ones are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from adrgd.activations import LOGISTIC, Slope
from adrgd.errors import UsageError
from adrgd.gates import Call, Gates, Picked, noting
from adrgd.rows import column
from adrgd.settings import settle_fields
from adrgd.solvers.softened import softened
from adrgd.solvers.solver import Evaluation, Problem, Sees, Solver, StepRule, TrueGates
from adrgd.solvers.steps import FROM_TWO_RADII, Momentum


@dataclass(frozen=True)
class Noise:
    """The state of the graduated gates.

    Attributes:
        sigma0: (B,) each row's first sigma, in radii of the domain.
        inverse: 1.702 / (sigma0 ||P_j||), what h is multiplied by while sigma = sigma0; one tensor (B, ...) a layer,
            replaced in place at each measurement, since together they are as large as all activations.
        layers: the gated layers.
        flat: some of them have no slope of their own anywhere (the sign function).
    """

    sigma0: Tensor
    inverse: list[Tensor]
    layers: Picked
    flat: bool

    def square(self, k: int) -> Tensor:
        """||P_j||^2 of the k-th gated layer, for x measured in radii."""
        return (column(LOGISTIC / self.sigma0, self.inverse[k]) / self.inverse[k]).square_()

    def remember(self, k: int, square: Tensor) -> None:
        """Put a new ||P_j||^2 in the k-th layer's place."""
        inverse = square.clamp_(min=1e-24).rsqrt_().mul_(column(LOGISTIC / self.sigma0, square))
        self.inverse[k : k + 1] = [inverse]


@dataclass(frozen=True, kw_only=True)
class NoisyGates:
    """What all gates have in common that are probabilities under an annealed noise.

    Attributes:
        sigma0: the first noise level, in radii of the domain.
        spread: restarts draw their own sigma0 log-uniformly from this range instead.
        spread_first: first runs draw theirs from it as well.
        until: the share of the run after which the gates are the true ones.
        floor: the share of sigma0 that is kept to the end where a gated activation has no slope of its own (the sign
            function): true gates would lead nowhere.
        memory: what is kept of the running mean of ||P_j||^2 at a measurement.
        layers: which activation layers: "all", "last:K", or numbers such as "0,2".
    """

    sees: ClassVar[Sees] = "all"

    sigma0: float = 2.0
    spread: tuple[float, float] = (0.3, 3.0)
    spread_first: bool = False
    until: float = 0.7
    floor: float = 0.1
    memory: float = 0.5
    layers: str = "all"

    def __post_init__(self) -> None:
        settle_fields(self)
        if not (self.sigma0 > 0 and 0 < self.spread[0] <= self.spread[1]):
            raise UsageError(f"sigma0 and spread must be positive, found {self.sigma0} and {self.spread}")
        if not (0 < self.until <= 1 and 0 < self.floor <= 1 and 0 <= self.memory < 1):
            raise UsageError("expected 0 < until <= 1, 0 < floor <= 1 and 0 <= memory < 1")

    def look(self, problem: Problem, x: Tensor) -> tuple[Picked, bool]:
        """The gated layers, and whether some of them are flat."""
        picked = problem.pick(self, x)
        seen = problem.inventory.layers if problem.inventory else ()
        return picked, any(layer.phi.is_flat for layer in seen if layer.number in picked)

    def first_sigma(self, problem: Problem, x: Tensor) -> Tensor:
        """(B,) each row's own sigma0."""
        low, high = (math.log(value) for value in self.spread)
        drawn = torch.exp(low + (high - low) * problem.random.uniform((), "sigma0", dtype=x.dtype))
        return torch.where((problem.restart > 0) | self.spread_first, drawn, self.sigma0).to(x.dtype)

    def left(self, problem: Problem, t: int, flat: bool) -> float:
        """sigma / sigma0 at iteration t."""
        return max(1 - t / (self.until * problem.steps), self.floor if flat else 0.0)


@dataclass(frozen=True, kw_only=True)
class GraduatedGates(NoisyGates):
    """Gates that anneal from smooth to true, with norms from random probes.

    Attributes:
        probe_every: iterations between two measurements of ||P_j||, one forward pass each.
    """

    probe_every: int = 5

    def start(self, problem: Problem, x: Tensor) -> Noise:
        layers, flat = self.look(problem, x)
        sigma0 = self.first_sigma(problem, x)
        if not layers:
            return Noise(sigma0, [], layers, flat)
        kept: list[Tensor] = []
        with torch.no_grad(), Gates(noting(kept), layers):
            problem.score(x)
        state = Noise(sigma0, [], layers, flat)
        self._measure(problem, x, state, kept, 1.0, t=0)
        return state

    def evaluate(self, problem: Problem, x: Tensor, state: Noise, t: int) -> Evaluation:
        left = self.left(problem, t, state.flat)
        if left <= 0 or not state.layers:
            score, gradient, *_ = TrueGates().evaluate(problem, x, None, t)
            return Evaluation(score, gradient, state)
        measure = t > 0 and t % self.probe_every == 0
        kept: list[Tensor] = []
        inverse = iter(state.inverse)

        def slope(call: Call) -> Slope:
            if measure:
                kept.append(call.saved().detach())
            return call.phi.soft(call.h, next(inverse), left)

        score, gradient = softened(problem, x, state.layers, slope)
        if measure:
            self._measure(problem, x.detach(), state, kept, left, t)
        return Evaluation(score, gradient, state)

    def _measure(self, problem: Problem, x: Tensor, state: Noise, kept: list[Tensor], left: float, t: int) -> None:
        """One forward pass at x + v: the layers' values move by P v, and (P_j v)^2 has mean ||P_j||^2.

        Behind a gated layer the difference is carried on through the soft gate, so that P is the surrogate's (eq 10).
        Layers that are not gated carry on the difference that they really make.
        """
        known, layer = bool(state.inverse), iter(range(len(kept)))
        kept.reverse()  # so that each layer's values are given up as soon as they are used

        def carry(call: Call) -> Any:
            k, h = next(layer), kept.pop()
            difference = call.moved(h)
            square = difference.square()
            state.remember(k, square.lerp_(state.square(k), self.memory) if known else square)
            return call.answer(call.phi.value(h) + call.phi.soft(h, state.inverse[k], left).push(difference))

        v = problem.random.normal(tuple(x.shape[1:]), "probe", t, x.dtype) * problem.domain.noise
        with torch.no_grad(), Gates(carry, state.layers):
            problem.score(x + v)


@dataclass(frozen=True, kw_only=True)
class GraduatedADR(Solver):
    """Graduated gates under the domain's steepest step, whose length falls linearly from two radii."""

    gates: GraduatedGates = field(default_factory=GraduatedGates)
    step: StepRule = FROM_TWO_RADII


@dataclass(frozen=True, kw_only=True)
class GraduatedMomentum(Solver):
    """Graduated gates, from smaller sigmas, under momentum steps with a cubic decay: fine maxima over few inputs."""

    gates: GraduatedGates = field(default_factory=lambda: GraduatedGates(sigma0=0.3, spread=(0.03, 1.0)))
    step: StepRule = field(default_factory=lambda: Momentum(length=0.5, decay_rate=0.5, schedule="power", power=3.0))
