"""Solvers by name. A solver is a gate rule and a step rule; each of them is one small dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from adrgd.errors import UsageError
from adrgd.solvers.adr import ADRGD, SearchedGates
from adrgd.solvers.changed import changed
from adrgd.solvers.gradient import (
    FGSM,
    GD,
    PGD,
    NoisyNormalisedGD,
    NormalisedGD,
    OccupationTimeGD,
    PerturbedGD,
)
from adrgd.solvers.graduated import GraduatedADR, GraduatedGates, GraduatedMomentum
from adrgd.solvers.presets import PRESETS, SETTINGS, preset
from adrgd.solvers.secant import GraduatedSecant, SecantGates
from adrgd.solvers.smoothed import LeakyGates, LeakyPGD, SigmoidGates, SigmoidPGD
from adrgd.solvers.solver import Solver, StepRule, TrueGates, gating
from adrgd.solvers.steps import (
    Adam,
    Euclidean,
    GradientStep,
    Momentum,
    NoisyNormalised,
    Normalised,
    OccupationTime,
    Perturbed,
    Steepest,
)
from adrgd.specs import split_spec

SOLVERS: dict[str, Callable[[], Solver]] = {
    "graduated": GraduatedADR,
    "graduated-secant": GraduatedSecant,
    "graduated-momentum": GraduatedMomentum,
    "adr": ADRGD,
    "pgd": PGD,
    "fgsm": FGSM,
    "leaky": LeakyPGD,
    "sigmoid": SigmoidPGD,
    "gd": GD,
    "normalised-gd": NormalisedGD,
    "perturbed-gd": PerturbedGD,
    "noisy-gd": NoisyNormalisedGD,
    "occupation-gd": OccupationTimeGD,
}

STEPS: dict[str, Callable[[], StepRule]] = {
    "steepest": Steepest,
    "gradient": GradientStep,
    "normalised": Normalised,
    "momentum": Momentum,
    "adam": Adam,
    "noisy": NoisyNormalised,
    "perturbed": Perturbed,
    "occupation": OccupationTime,
    "euclidean": Euclidean,
}


def make_solver(name: str, *, others: tuple[str, ...] = (), instead: Mapping[str, Solver] | None = None) -> Solver:
    """The solver of that name with its defaults; "adr:PRESET" names a preset of ADR-GD.

    Args:
        name: `?key=value&...` behind it sets fields of the solver, its gate rule or its step rule; `step=RULE` takes
            another step rule first.
        others: what else could have been named, for the sentence about an unknown one.
        instead: names that stand for something of their own here.

    Raises:
        UsageError: unknown solver, preset or field, or a value that makes no sense.

    Examples:
        >>> import adrgd
        >>> adrgd.make_solver("pgd").step.schedule
        'linear'
        >>> adrgd.make_solver("pgd?schedule=constant&length=0.1").step
        Steepest(schedule='constant', power=2.0, length=0.1)
    """
    base, query = split_spec(name, error=UsageError)
    solver = (instead or {}).get(base) or _named(base, others)
    if rule := query.pop("step", None):
        solver = dataclasses.replace(solver, step=make_step(rule))
    return changed(solver, query, spec=name) if query else solver


def _named(name: str, others: tuple[str, ...]) -> Solver:
    kind, _, variant = name.partition(":")
    if kind not in SOLVERS:
        raise UsageError(f"unknown solver {kind!r}; expected one of {', '.join([*others, *SOLVERS])}, adr:PRESET")
    if not variant:
        return preset("paper") if kind == "adr" else SOLVERS[kind]()
    if kind != "adr":
        raise UsageError(f"solver {kind!r} has no presets, found {variant!r} behind the colon; only adr has")
    return preset(variant)


def make_step(name: str) -> StepRule:
    """The step rule of that name with its defaults.

    Raises:
        UsageError: there is none.
    """
    if name not in STEPS:
        raise UsageError(f"unknown step rule {name!r}; expected one of {', '.join(STEPS)}")
    return STEPS[name]()


__all__ = [
    "ADRGD",
    "FGSM",
    "GD",
    "PGD",
    "PRESETS",
    "SETTINGS",
    "SOLVERS",
    "STEPS",
    "Adam",
    "Euclidean",
    "GradientStep",
    "GraduatedADR",
    "GraduatedGates",
    "GraduatedMomentum",
    "GraduatedSecant",
    "LeakyGates",
    "LeakyPGD",
    "Momentum",
    "NoisyNormalised",
    "NoisyNormalisedGD",
    "Normalised",
    "NormalisedGD",
    "OccupationTime",
    "OccupationTimeGD",
    "Perturbed",
    "PerturbedGD",
    "SearchedGates",
    "SecantGates",
    "SigmoidGates",
    "SigmoidPGD",
    "Solver",
    "Steepest",
    "TrueGates",
    "gating",
    "make_solver",
    "make_step",
    "preset",
]
