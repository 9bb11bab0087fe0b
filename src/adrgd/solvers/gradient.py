"""First-order peers: the true gradient under different step rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from adrgd.solvers.solver import GateRule, Solver, StepRule, TrueGates
from adrgd.solvers.steps import (
    FROM_TWO_RADII,
    GradientStep,
    NoisyNormalised,
    Normalised,
    OccupationTime,
    Perturbed,
    Steepest,
)


@dataclass(frozen=True, kw_only=True)
class _TrueGradient(Solver):
    """Ordinary backpropagation under some step rule."""

    gates: GateRule = field(default_factory=TrueGates)


@dataclass(frozen=True, kw_only=True)
class GD(_TrueGradient):
    """Projected gradient ascent with a fixed rate."""

    step: StepRule = field(default_factory=GradientStep)


@dataclass(frozen=True, kw_only=True)
class NormalisedGD(_TrueGradient):
    """Steps of a fixed length along the gradient."""

    step: StepRule = field(default_factory=Normalised)


@dataclass(frozen=True, kw_only=True)
class PerturbedGD(_TrueGradient):
    """A random kick where the gradient is small (Jin et al. 2017)."""

    step: StepRule = field(default_factory=Perturbed)


@dataclass(frozen=True, kw_only=True)
class NoisyNormalisedGD(_TrueGradient):
    """The gradient's direction plus noise at every step (Levy 2016)."""

    step: StepRule = field(default_factory=NoisyNormalised)


@dataclass(frozen=True, kw_only=True)
class OccupationTimeGD(_TrueGradient):
    """Kicks that lean away from where x has been (Guo, Han & Tang 2020)."""

    step: StepRule = field(default_factory=OccupationTime)


@dataclass(frozen=True, kw_only=True)
class FGSM(_TrueGradient):
    """One steepest step of one radius (Goodfellow et al. 2014)."""

    step: StepRule = field(default_factory=lambda: Steepest(length=1.0, schedule="constant"))
    most_steps: int | None = 1


@dataclass(frozen=True, kw_only=True)
class PGD(_TrueGradient):
    """Steepest steps (Madry et al. 2017); on a box, the sign of the gradient."""

    step: StepRule = FROM_TWO_RADII
