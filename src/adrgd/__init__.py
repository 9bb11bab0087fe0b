"""Optimise the inputs of trained ReLU networks."""

from adrgd.data import Images, load_data
from adrgd.domain import Box, Everywhere, L2Ball, LinfBall
from adrgd.errors import (
    AdrgdError,
    DataError,
    DomainError,
    MissingExtraError,
    ModelError,
    RunFolderError,
    UsageError,
)
from adrgd.gates import count_neurons
from adrgd.maximize import NonFiniteError, Solution, Status, maximize
from adrgd.models import Model, load_model
from adrgd.objective import Classify, Misclassify, Output, Score
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

__version__ = "0.1.0"

__all__ = [
    "ADRGD",
    "FGSM",
    "GD",
    "PGD",
    "Adam",
    "AdrgdError",
    "Box",
    "Classify",
    "DataError",
    "DomainError",
    "Everywhere",
    "GradientStep",
    "GraduatedADR",
    "GraduatedGates",
    "GraduatedMomentum",
    "GraduatedSecant",
    "Images",
    "L2Ball",
    "LinfBall",
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
    "PerturbedGD",
    "RunFolderError",
    "Score",
    "SearchedGates",
    "SecantGates",
    "Solution",
    "Solver",
    "Status",
    "Steepest",
    "TrueGates",
    "UsageError",
    "count_neurons",
    "load_data",
    "load_model",
    "make_solver",
    "maximize",
]
