"""First-order peers: the true gradient under different step rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from adrgd.solvers.solver import GateRule, Solver, StepRule, TrueGates
from adrgd.solvers.steps import (
    GradientStep,
    NoisyNormalised,
    Normalised,
    OccupationTime,
    Perturbed,
    Steepest,
)


@dataclass(frozen=True, kw_only=True)
class GD(Solver):
    """Projected gradient ascent with a fixed rate."""

    gates: GateRule = field(default_factory=TrueGates)
    step: StepRule = field(default_factory=GradientStep)


@dataclass(frozen=True, kw_only=True)
class NormalisedGD(Solver):
    """Steps of a fixed length along the gradient."""

    gates: GateRule = field(default_factory=TrueGates)
    step: StepRule = field(default_factory=Normalised)


@dataclass(frozen=True, kw_only=True)
class PerturbedGD(Solver):
    """A random kick where the gradient is small (Jin et al. 2017)."""

    gates: GateRule = field(default_factory=TrueGates)
    step: StepRule = field(default_factory=Perturbed)


@dataclass(frozen=True, kw_only=True)
class NoisyNormalisedGD(Solver):
    """The gradient's direction plus noise at every step (Levy 2016)."""

    gates: GateRule = field(default_factory=TrueGates)
    step: StepRule = field(default_factory=NoisyNormalised)


@dataclass(frozen=True, kw_only=True)
class OccupationTimeGD(Solver):
    """Kicks that lean away from where x has been (Guo, Han & Tang 2020)."""

    gates: GateRule = field(default_factory=TrueGates)
    step: StepRule = field(default_factory=OccupationTime)


@dataclass(frozen=True, kw_only=True)
class FGSM(Solver):
    """One steepest step of one radius (Goodfellow et al. 2014)."""

    gates: GateRule = field(default_factory=TrueGates)
    step: StepRule = field(default_factory=lambda: Steepest(length=1.0, schedule="constant"))
    most_steps: int | None = 1


@dataclass(frozen=True, kw_only=True)
class PGD(Solver):
    """Steepest steps (Madry et al. 2017); on a box, the sign of the gradient."""

    gates: GateRule = field(default_factory=TrueGates)
    step: StepRule = field(default_factory=lambda: Steepest(length=2.0, schedule="linear"))
