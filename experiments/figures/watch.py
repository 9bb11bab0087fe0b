"""The solvers that the figures compare, all of them with one step: only their gates differ."""

from __future__ import annotations

from adrgd import ADRGD, GraduatedADR, NormalisedGD, Solver
from adrgd.solvers import preset
from adrgd.solvers.solver import StepRule


def gates_under(step: StepRule) -> dict[str, Solver]:
    """Each solver by the name that the figures give it."""
    return {
        "GD": NormalisedGD(step=step),
        "ADR-GD": ADRGD(gates=preset("paper-random-a").gates, step=step),
        "ADR-GD, released settings": ADRGD(gates=preset("released-random-a").gates, step=step),
        "GraduatedADR": GraduatedADR(step=step),
    }
