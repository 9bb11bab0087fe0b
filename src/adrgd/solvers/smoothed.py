"""Two cheap backward surrogates beside the graduated gates: a leak for inactive neurons, and a sigmoid for the step.

Both keep the true network forwards, anneal to its true gradient, and move x as GraduatedADR does. Neither knows the
geometry: the leak is one number for all neurons, and the sigmoid's width one number for all neurons of a layer, where
the graduated gates measure ||P_j|| neuron by neuron. What they leave of GraduatedADR's gain is what the norms are for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from adrgd.activations import Factor, Number, PiecewiseLinear, Slope
from adrgd.errors import UsageError
from adrgd.gates import Call, Picked
from adrgd.rows import column
from adrgd.settings import settle_fields
from adrgd.solvers.softened import softened
from adrgd.solvers.solver import Evaluation, Problem, Sees, Solver, StepRule, TrueGates
from adrgd.solvers.steps import FROM_TWO_RADII


@dataclass(frozen=True, kw_only=True)
class _AnnealedGates(ABC):
    """Slopes that fall linearly to the true ones.

    Attributes:
        until: the share of the run after which the slopes are the true ones.
        layers: which activation layers: "all", "last:K", or numbers such as "0,2".
    """

    sees: ClassVar[Sees] = "hinges"

    until: float = 0.7
    layers: str = "all"

    def __post_init__(self) -> None:
        settle_fields(self)
        if not 0 < self.until <= 1:
            raise UsageError(f"expected 0 < until <= 1, found {self.until}")

    def start(self, problem: Problem, x: Tensor) -> Picked:
        return problem.pick(self, x)

    def evaluate(self, problem: Problem, x: Tensor, state: Picked, t: int) -> Evaluation:
        left = 1 - t / (self.until * problem.steps)
        if left <= 0 or not state:
            score, gradient, *_ = TrueGates().evaluate(problem, x, None, t)
        else:
            score, gradient = softened(problem, x, state, lambda call: self.slope(call, left))
        return Evaluation(score, gradient, state)

    @abstractmethod
    def slope(self, call: Call, left: float) -> Slope:
        """What stands in for phi' while `left`, from 1 down to 0, is what remains of the annealing."""


@dataclass(frozen=True, kw_only=True)
class LeakyGates(_AnnealedGates):
    """Inactive neurons pass a share of the gradient: phi' is pulled towards phi's largest slope.

    For a ReLU the slopes are `leak` and 1, those of a leaky ReLU.

    Attributes:
        leak0: the first leak, in [0, 1].
    """

    leak0: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.leak0 <= 1:
            raise UsageError(f"expected 0 < leak0 <= 1, found {self.leak0}")

    def slope(self, call: Call, left: float) -> Slope:
        phi = call.hinges
        true = phi.mix([(call.h > at).to(call.h) for at in phi.breaks])
        return Factor(true + self.leak0 * left * (_largest_slope(phi) - true))


@dataclass(frozen=True, kw_only=True)
class SigmoidGates(_AnnealedGates):
    """The step in phi' becomes a sigmoid whose width is a multiple of the layer's root-mean-square pre-activation.

    Attributes:
        width0: the first width, in those units, row by row.
    """

    width0: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.width0 > 0:
            raise UsageError(f"width0 must be positive, found {self.width0}")

    def slope(self, call: Call, left: float) -> Slope:
        rms = call.h.flatten(1).square().mean(1).sqrt().clamp_min(torch.finfo(call.h.dtype).tiny)
        return call.phi.soft(call.h, column(1 / (self.width0 * rms), call.h), left)


def _largest_slope(phi: PiecewiseLinear) -> Number:
    largest = slope = phi.slope
    for jump in phi.jumps:
        slope = slope + jump
        if isinstance(slope, Tensor) or isinstance(largest, Tensor):
            largest = torch.maximum(torch.as_tensor(largest), torch.as_tensor(slope))
        else:
            largest = max(largest, slope)
    return largest


@dataclass(frozen=True, kw_only=True)
class LeakyPGD(Solver):
    """Steepest steps along the gradient of an annealed leaky network."""

    gates: LeakyGates = field(default_factory=LeakyGates)
    step: StepRule = FROM_TWO_RADII


@dataclass(frozen=True, kw_only=True)
class SigmoidPGD(Solver):
    """Steepest steps along a gradient whose gates are annealed sigmoids."""

    gates: SigmoidGates = field(default_factory=SigmoidGates)
    step: StepRule = FROM_TWO_RADII
