"""What a refinement is: which critic is maximised, where around the proposal, by which solver, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from adrgd.errors import UsageError
from adrgd.given import as_solver
from adrgd.settings import as_flag, as_integer, as_number, as_seed, maybe, settle
from adrgd.solvers import GD, GraduatedMomentum, Solver, make_solver

Critic = Literal["first", "mean", "min"]


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """Section 6.2 of the paper: with some probability the action is moved to where the critic is larger.

    Actions are measured as the critic sees them, scaled to [-1, 1] in each coordinate.

    Attributes:
        solver: a solver, or a name: "graduated", with the steps for few inputs; "gd", the true gradient under the same
            steps, the control; "adr", the paper's algorithm with its settings for this job; any other of `adrgd list`.
        probability: of a refinement, for each environment at each step (epsilon of equation 12).
        radius: how far each coordinate may move from the proposal; None for the whole range.
        steps: iterations of the solver.
        start: the number of steps of the environment after which refinement begins; None for `learning_starts`.
        critic: whether the first critic is maximised, the mean of all, or their minimum.
        target: maximise the target critics instead of those in training.
        noise: whether refined actions get exploration noise too.
        seed: of the solver's random numbers; the coin flips follow the model's own seed.
        closed_form: use closed-form gradients where the critic is a chain of Linear and ReLU layers.
    """

    solver: Solver | str = "graduated"
    probability: float = 0.25
    radius: float | None = 0.5
    steps: int = 100
    start: int | None = None
    critic: Critic = "first"
    target: bool = False
    noise: bool = False
    seed: int = 0
    closed_form: bool = True

    def __post_init__(self) -> None:
        settle(
            self, probability=as_number, radius=maybe(as_number), steps=as_integer, start=maybe(as_integer),
            target=as_flag, noise=as_flag, seed=as_seed, closed_form=as_flag,
        )  # fmt: skip
        if not 0 <= self.probability <= 1:
            raise UsageError(f"the probability of a refinement must lie in [0, 1], found {self.probability}")
        if self.radius is not None and not 0 < self.radius < float("inf"):
            raise UsageError(f"radius must be positive, or None for the whole range, found {self.radius}")
        if self.steps < 1 or (self.start is not None and self.start < 0):
            raise UsageError(f"expected steps >= 1 and start >= 0, found {self.steps} and {self.start}")
        if self.critic not in get_args(Critic):
            raise UsageError(f"unknown choice of critic {self.critic!r}; expected one of {', '.join(get_args(Critic))}")
        self.resolved()

    def resolved(self) -> Solver:
        """The solver itself.

        Raises:
            UsageError: there is none of that name.
        """
        if not isinstance(self.solver, str):
            return as_solver(self.solver)
        return make_solver(self.solver, instead=NAMED)


NAMED: dict[str, Solver] = {
    "graduated": GraduatedMomentum(),
    "gd": GD(step=GraduatedMomentum().step),
    "adr": make_solver("adr:paper-td3"),
}
"""Names that mean something of their own for critics."""


def named(name: str, config: RefineConfig | None = None) -> RefineConfig | None:
    """The configuration with that solver; None for the name "none"."""
    return None if name == "none" else replace(config or RefineConfig(), solver=name)
