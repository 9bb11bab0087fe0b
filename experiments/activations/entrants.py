"""Who attacks: plain gradients under several schedules, our solvers, and other libraries' attacks."""

from __future__ import annotations

from adrgd.attacks import Attack, Standard, steps_within
from adrgd.attacks.matrix import Own, Peer
from adrgd.attacks.matrix.entrants import Entrant
from adrgd.solvers import PGD, GraduatedADR, GraduatedSecant, Solver, Steepest

SCHEDULES: dict[str, Solver] = {
    "pgd, from 2 eps": PGD(),
    "pgd, from 2 eps, random start": PGD(random_start=True),
    "pgd, from eps": PGD(step=Steepest(length=1.0)),
    "pgd, from eps/2": PGD(step=Steepest(length=0.5)),
    "pgd, eps/10 throughout": PGD(step=Steepest(length=0.1, schedule="constant"), random_start=True),
}
"""Steps that fall linearly to zero, and Madry's constant ones; a seed is nothing to those that start at the image."""

OURS: dict[str, Solver] = {
    "graduated": GraduatedADR(),
    "graduated, random start": GraduatedADR(random_start=True),
    "graduated-secant": GraduatedSecant(),
}

AUTO = "pyautoattack"
ADV_LIB = "adv-lib:"
PEERS = (AUTO, f"{ADV_LIB}apgd?loss_function=ce", f"{ADV_LIB}apgd_targeted?loss_function=dlr")


def schedules(seed: int) -> dict[str, Solver]:
    """Those that a seed is something to; under the first seed, all."""
    return {name: solver for name, solver in SCHEDULES.items() if seed == 0 or solver.random_start}


def own(solvers: dict[str, Solver], passes: int, seed: int) -> list[Entrant]:
    """Each with as many iterations as the passes pay for."""
    return [
        Own(name=name, attack=Attack(solver=solver, steps=steps_within(solver, passes), seed=seed))
        for name, solver in solvers.items()
    ]


def ensemble(budget: int, seed: int) -> list[Entrant]:
    """Ours, at a budget of passes."""
    return [Own(name="standard", attack=Attack(solver=Standard(budget=budget), seed=seed))]


def peers(names: tuple[str, ...], seed: int) -> list[Entrant]:
    """As their libraries have them."""
    return [Peer.named(name, seed=seed) for name in names]
