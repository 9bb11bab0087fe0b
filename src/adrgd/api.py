"""What `import adrgd` offers, by name; nothing else."""

from adrgd.data import Images, load_data
from adrgd.domain import Box, Everywhere, L2Ball, LinfBall
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

__all__ = [
    "ADRGD",
    "FGSM",
    "GD",
    "PGD",
    "Adam",
    "AdrgdError",
    "AdrgdWarning",
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
