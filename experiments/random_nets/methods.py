"""The methods of the study, each with the settings among which it is tuned (on networks that no table is made from)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from adrgd import ADRGD, Adam, GradientStep, GraduatedADR, GraduatedGates, Normalised, Solver, Steepest, TrueGates
from adrgd.solvers import LeakyGates, NoisyNormalised, OccupationTime, Perturbed, SigmoidGates, make_solver
from adrgd.solvers.solver import GateRule, StepRule

Settings = dict[str, Solver]

RATES = {
    "A": (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    "B": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    "C": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
}
LENGTHS = {"A": (0.01, 0.03, 0.1, 0.3, 1.0), "B": (0.01, 0.03, 0.1, 0.3, 1.0), "C": (0.03, 0.1, 0.3, 1.0, 3.0)}
ALWAYS = float("inf")  # as a threshold: kick whatever the gradient, since these networks' gradients hardly ever vanish

DECAYING: dict[str, StepRule] = {
    **{f"first step {length:g}": Steepest(length=length) for length in (0.25, 0.5, 1.0, 2.0)},
    "first step 2, squared decay": Steepest(length=2.0, schedule="power"),
    "first step 1, cubed decay": Steepest(length=1.0, schedule="power", power=3.0),
}
"""Sign steps whose length falls to zero, the same for every gate rule."""


@dataclass(frozen=True)
class Method:
    """One row of the tables.

    Attributes:
        title: what the tables call it.
        settings: model -> label -> solver; the first is the published one where there is one.
        published: the paper's protocol uses the first setting instead of a tuned one.
        last: the paper's protocol reports the last iterate instead of the best.
    """

    title: str
    settings: Callable[[str], Settings]
    published: bool = False
    last: bool = False


def plain(steps: Mapping[str, StepRule]) -> Settings:
    """The true gradient under each of these steps."""
    return {label: Solver(gates=TrueGates(), step=step) for label, step in steps.items()}


def decaying(gates: Mapping[str, GateRule]) -> Settings:
    """Each of these gate rules under each of the decaying sign steps."""
    return {
        f"{rule}, {label}": Solver(gates=gate, step=step)
        for (rule, gate), (label, step) in product(gates.items(), DECAYING.items())
    }


def perturbed(model: str) -> Settings:
    kicks = {"0.3 where flat": (0.3, 1e-3), "0.3 always": (0.3, ALWAYS), "1 always": (1.0, ALWAYS)}
    return plain({
        f"length {length:g}, kick {label}": Perturbed(rate=length, radius=radius, threshold=threshold, every=50)
        for length in LENGTHS[model][1:4]
        for label, (radius, threshold) in kicks.items()
    })  # fmt: skip


def adr(model: str, variant: str = "paper", /, **changes: Any) -> Settings:
    """The published setting, and the same gates under other steps."""
    solver = make_solver(f"adr:{variant}-random-{model.lower()}")
    solver = replace(solver, gates=replace(solver.gates, **changes))  # type: ignore[type-var]
    steps: dict[str, StepRule] = {f"length {length:g}": Normalised(length=length) for length in (0.25, 1.0, 2.0)}
    steps |= {f"length {length:g}, linear": Normalised(length=length, schedule="linear") for length in (1.0, 2.0, 4.0)}
    return {"published": solver} | {label: ADRGD(gates=solver.gates, step=step) for label, step in steps.items()}  # type: ignore[arg-type]


def ablation(model: str, **changes: bool) -> Settings:
    """The published setting with one component removed."""
    return {"published": adr(model, **changes)["published"]}


METHODS: dict[str, Method] = {
    "gd": Method(
        "GD", lambda m: plain({f"rate {rate:g}": GradientStep(rate=rate) for rate in RATES[m]}), last=True
    ),
    "normalised-gd": Method(
        "GD, normalised", lambda m: plain({f"length {v:g}": Normalised(length=v) for v in LENGTHS[m]}), last=True
    ),
    "perturbed-gd": Method("Perturbed GD", perturbed, last=True),
    "noisy-gd": Method(
        "Noisy normalised GD",
        lambda m: plain({
            f"length {length:g}, noise {noise:g}": NoisyNormalised(length=length, noise=noise)
            for length, noise in product(LENGTHS[m][1:4], (0.3, 1.0, 3.0))
        }),
        last=True,
    ),
    "occupation-gd": Method(
        "Occupation-time GD",
        lambda m: plain({
            f"length {length:g}, kick {radius:g} always": OccupationTime(
                rate=length, radius=radius, threshold=ALWAYS, every=50
            )
            for length, radius in product(LENGTHS[m][1:4], (0.3, 1.0, 3.0))
        }),
        last=True,
    ),
    "adam": Method(
        "Adam",
        lambda m: plain({
            f"rate {rate:g}, {schedule}": Adam(rate=rate, schedule=schedule)  # type: ignore[arg-type]
            for rate, schedule in product((0.1, 0.3, 1.0, 3.0), ("constant", "linear"))
        }),
    ),
    "sign": Method("Sign steps with decay", lambda m: plain(DECAYING)),
    "leaky": Method(
        "Leaky backward", lambda m: decaying({f"leak {leak:g}": LeakyGates(leak0=leak) for leak in (0.1, 0.3, 0.6)})
    ),
    "sigmoid": Method(
        "Sigmoid backward", lambda m: decaying({f"width {w:g}": SigmoidGates(width0=w) for w in (0.2, 0.5, 1.0)})
    ),
    "adr": Method("ADR-GD", adr, published=True),
    "adr-released": Method("ADR-GD, released code", lambda m: adr(m, "released"), published=True),
    "m1": Method("M1", lambda m: ablation(m, eta_follows_objective=False), published=True),
    "m2": Method("M2", lambda m: ablation(m, x_follows_constraint=False), published=True),
    "m3": Method("M3", lambda m: ablation(m, normalise_distance=False), published=True),
    "m4": Method("M4", lambda m: ablation(m, perturb=False), published=True),
    "graduated": Method(
        "GraduatedADR",
        lambda m: decaying({f"sigma {s:g}": GraduatedGates(sigma0=s, spread=(s, s)) for s in (0.3, 1.0, 2.0)}),
    ),
    "graduated-default": Method("GraduatedADR, defaults", lambda m: {"defaults": GraduatedADR()}),
}  # fmt: skip
"""In the order of the tables."""
