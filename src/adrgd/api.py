"""What `import adrgd` offers, by name; nothing else."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from adrgd.data import Images, load_data
from adrgd.domain import (
    Box,
    Discrete,
    Ellipsoid,
    Everywhere,
    L0Ball,
    L1Ball,
    L2Ball,
    LinfBall,
    LpBall,
    Masked,
    Patch,
    Polytope,
    Product,
    Simplex,
)
from adrgd.errors import (
    AdrgdError,
    AdrgdWarning,
    DataError,
    DomainError,
    MissingExtraError,
    ModelError,
    RunFolderError,
    UsageError,
)
from adrgd.gates import count_neurons
from adrgd.maximize import maximize
from adrgd.models import Model, load_model
from adrgd.models.ensemble import Ensemble
from adrgd.objective import Classify, Misclassify, Output, Score
from adrgd.solution import NonFiniteError, Solution, Status
from adrgd.solvers import (
    ADRGD,
    FGSM,
    GD,
    PGD,
    GraduatedADR,
    GraduatedGates,
    GraduatedMomentum,
    GraduatedSecant,
    NoisyNormalisedGD,
    NormalisedGD,
    OccupationTimeGD,
    PerturbedGD,
    SearchedGates,
    SecantGates,
    Solver,
    TrueGates,
    make_solver,
)
from adrgd.solvers.steps import Adam, GradientStep, Momentum, Normalised, Steepest

if TYPE_CHECKING:
    from adrgd.attacks import Attack, AttackResult, Standard, Threat, attack_batch

ATTACKS = ("Attack", "AttackResult", "Standard", "Threat", "attack_batch")


def __getattr__(name: str) -> Any:
    """What belongs to attacks is imported when it is asked for."""
    if name in ATTACKS:
        return getattr(importlib.import_module("adrgd.attacks"), name)
    raise AttributeError(f"module 'adrgd.api' has no attribute {name!r}")


__all__ = [
    "ADRGD",
    "FGSM",
    "GD",
    "PGD",
    "Adam",
    "AdrgdError",
    "AdrgdWarning",
    "Attack",
    "AttackResult",
    "Box",
    "Classify",
    "DataError",
    "Discrete",
    "DomainError",
    "Ellipsoid",
    "Ensemble",
    "Everywhere",
    "GradientStep",
    "GraduatedADR",
    "GraduatedGates",
    "GraduatedMomentum",
    "GraduatedSecant",
    "Images",
    "L0Ball",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "LpBall",
    "Masked",
    "Misclassify",
    "MissingExtraError",
    "Model",
    "ModelError",
    "Momentum",
    "NoisyNormalisedGD",
    "NonFiniteError",
    "Normalised",
    "NormalisedGD",
    "OccupationTimeGD",
    "Output",
    "Patch",
    "PerturbedGD",
    "Polytope",
    "Product",
    "RunFolderError",
    "Score",
    "SearchedGates",
    "SecantGates",
    "Simplex",
    "Solution",
    "Solver",
    "Standard",
    "Status",
    "Steepest",
    "Threat",
    "TrueGates",
    "UsageError",
    "attack_batch",
    "count_neurons",
    "load_data",
    "load_model",
    "make_solver",
    "maximize",
]
