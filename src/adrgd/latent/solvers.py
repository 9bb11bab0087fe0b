"""Solvers for latent codes by name: rates and noise levels in units of the prior's standard deviation."""

from __future__ import annotations

from dataclasses import replace

from adrgd.solvers import ADRGD, GD, Adam, GradientStep, GraduatedGates, Normalised, Solver, TrueGates, make_solver

STEP = Adam(rate=0.2)

NAMED: dict[str, Solver] = {
    "graduated": Solver(gates=GraduatedGates(sigma0=1.0), step=STEP),
    "adam": Solver(gates=TrueGates(), step=STEP),
    "gd": GD(step=GradientStep(rate=0.003)),
    "adr": ADRGD(step=Normalised(length=0.1)),
}
"""What these names mean for codes; they share their steps where they can."""


def latent_solver(solver: Solver | str, *, rate: float | None = None) -> Solver:
    """The solver itself.

    Args:
        solver: a solver, or a name of `NAMED` or of `adrgd list`.
        rate: another rate for the step of a named one.

    Raises:
        UsageError: there is none of that name.
    """
    if isinstance(solver, Solver):
        return solver
    found = make_solver(solver, instead=NAMED)
    if rate is None:
        return found
    field = "length" if hasattr(found.step, "length") else "rate"
    return replace(found, step=replace(found.step, **{field: rate}))  # type: ignore[type-var]
