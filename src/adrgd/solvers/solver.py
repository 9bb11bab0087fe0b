"""What a solver is: a rule for the gates of the backward pass, and a rule for how x then moves.

The two are independent. A *gate rule* evaluates the objective at x and says in which direction it grows; a *step rule*
turns that direction into the next point. The loop in `adrgd.maximize` owns everything else: projection, recording,
stopping, dropping finished rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from adrgd.domain import BoundDomain
from adrgd.errors import NoGradientError, UsageError
from adrgd.gates import ROWS, Gating, Inventory, Picked, look
from adrgd.objective import Score
from adrgd.rows import RowRandom, take
from adrgd.settings import settle_fields

Objective = Callable[..., Any]
"""x -> values (B,) or a `Score`; may take the row positions as a second argument named `rows`."""


Sees = Literal["nothing", "hinges", "all"]


class Gated(Protocol):
    """The part of a gate rule that decides which layers it gates."""

    @property
    def sees(self) -> Sees: ...

    @property
    def layers(self) -> str: ...


def choose(rule: Gated, inventory: Inventory) -> tuple[Picked, Gating]:
    """The layers that a gate rule is to work with, and what that leaves out."""
    hinges = rule.sees == "hinges"
    picked = inventory.pick(rule.layers, hinges=hinges)
    return picked, Gating.of(inventory, picked, hinges=hinges)


@dataclass(kw_only=True)
class Problem:
    """What a solver may know of the rows that are still being worked on.

    Attributes:
        rows: (B,) their positions in the batch given to `maximize`.
        restart: (B,) 0 for the first run of a row, 1, 2, ... for its restarts.
        steps: the number of iterations of the whole run.
        exact: the domain whose points are asked for, where `domain` is a wider one that the search moves in.
        rounded: the last points that were asked for, and the allowed ones that stood for them.
        forwards, backwards: how many passes each of these rows has spent.
        inventory: the activations of the objective, once a gate rule has asked for them.
        gating: what it makes of them.
    """

    objective: Objective
    takes_rows: bool
    domain: BoundDomain
    rows: Tensor
    restart: Tensor
    random: RowRandom
    steps: int
    exact: BoundDomain | None = None
    rounded: tuple[Tensor, Tensor] | None = None
    forwards: int = 0
    backwards: int = 0
    inventory: Inventory | None = None
    gating: Gating | None = None

    def score(self, x: Tensor) -> Score:
        """Evaluate the objective: one forward pass."""
        self.forwards += 1
        return self._ask(x)

    def value(self, x: Tensor) -> Tensor:
        """The value alone, as the functions of `adrgd.surrogate` want it: one forward pass."""
        return self.score(x).value

    def gradient(self, value: Tensor, of: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The gradients of value (B,), row by row: one backward pass."""
        self.backwards += 1
        found: tuple[Tensor | None, ...] = (None,)
        if value.requires_grad:
            found = torch.autograd.grad(value.sum(), of, allow_unused=True)
        if found[0] is None:
            raise NoGradientError(
                "the objective's value does not depend on x through differentiable operations; look for no_grad, "
                "inference_mode, detach or numbers taken out of tensors, and for quantised layers without a derivative"
            )
        return tuple(torch.zeros_like(t) if part is None else part for part, t in zip(found, of, strict=True))

    def peek(self, x: Tensor) -> Tensor:
        """The values of x, taken as the first of these rows, uncounted: for looking at the objective only."""
        return self._ask(x).value

    def pick(self, rule: Gated, x: Tensor) -> Picked:
        """The layers that a gate rule is to work with; x are points of the first of these rows."""
        self.inventory = self.inventory or look(self.peek, x[:ROWS])
        picked, self.gating = choose(rule, self.inventory)
        return picked

    def allowed(self, x: Tensor) -> Tensor:
        """The points that stand for x (B, ...), of the first of these rows; derivatives go through as if they were x.

        No function mode sees it: how a point is rounded is no part of the network.
        """
        if self.exact is None:
            return x
        with torch._C.DisableTorchFunction():
            here = x.detach()
            if self.rounded is None or not torch.equal(self.rounded[0], here):
                exact = self.exact if len(x) == len(self.rows) else take(self.exact, torch.arange(len(x)))
                self.rounded = here.clone(), exact.project(here)
            return self.rounded[1] + (x - here)

    def _ask(self, x: Tensor) -> Score:
        x = self.allowed(x).clone()  # a network whose first operation is in place must not write into the solver's x
        answer = self.objective(x, self.rows[: len(x)]) if self.takes_rows else self.objective(x)
        return as_score(answer, len(x))


class Evaluation(NamedTuple):
    """A point's score under the true network, the direction of growth, and the gate rule's next state.

    `recorded` (B,) is given by rules that say themselves at which points they look for the best one. Their rows go on
    after they have reached their goal, and `Solution.recorded` holds what such a rule keeps.
    """

    score: Score
    gradient: Tensor
    state: Any
    recorded: Tensor | None = None


class GateRule(Protocol):
    """How the backward pass treats activation gates. Its state is any nest of tensors with one row a row of x."""

    @property
    def sees(self) -> Sees:
        """Which activations it can gate: none at all, the piecewise-linear ones, or all."""

    def start(self, problem: Problem, x: Tensor) -> Any:
        """The state before the first iteration."""

    def evaluate(self, problem: Problem, x: Tensor, state: Any, t: int) -> Evaluation:
        """Iteration t = 0, 1, ...: the true score at x (B, ...) and the direction in which to move x."""


class StepRule(Protocol):
    """How x moves along a direction of growth. Its state is any nest of tensors with one row a row of x."""

    def start(self, problem: Problem, x: Tensor) -> Any:
        """The state before the first iteration."""

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """The next point, before projection, and the next state."""


@dataclass(frozen=True, kw_only=True)
class Solver:
    """A gate rule and a step rule.

    Attributes:
        random_start: begin at a random point of the domain instead of the given one (restarts always do).
        most_steps: never take more iterations than this, whatever the budget.
    """

    gates: GateRule
    step: StepRule
    random_start: bool = False
    most_steps: int | None = None

    def __post_init__(self) -> None:
        settle_fields(self)


def gating(solver: Solver, function: Callable[[Tensor], Tensor], x: Tensor) -> Gating | None:
    """Which activations of a function of x (B, ...) a solver's gates stand for; None for a solver without gates."""
    rule: Any = solver.gates
    return None if rule.sees == "nothing" else choose(rule, look(function, x[:ROWS]))[1]


def takes_rows(objective: Objective) -> bool:
    """Whether an objective wants to know which rows it is asked for."""
    try:
        return "rows" in inspect.signature(objective).parameters
    except (TypeError, ValueError):
        return False


def as_score(answer: object, count: int) -> Score:
    """Turn what an objective returned into a `Score`; values (B, 1), as of a network with one output, are one a row.

    Raises:
        UsageError: it is not one number a row.
    """
    if isinstance(answer, tuple):
        value, reached = answer
    else:
        value, reached = answer, None
    if isinstance(value, Tensor) and value.shape == (count, 1):
        value = value[:, 0]
    if not isinstance(value, Tensor) or value.shape != (count,) or not value.is_floating_point():
        found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(f"the objective must return one floating-point number a row, shape ({count},); found {found}")
    if reached is None:
        reached = torch.zeros(count, dtype=torch.bool, device=value.device)
    if not isinstance(reached, Tensor) or reached.shape != (count,) or reached.dtype != torch.bool:
        found = f"{reached.dtype} of shape {tuple(reached.shape)}" if isinstance(reached, Tensor) else repr(reached)
        raise UsageError(
            f"beside its values the objective may say which rows have reached their goal, as truth values of shape "
            f"({count},); found {found}"
        )
    return Score(value, reached)


@dataclass(frozen=True)
class TrueGates:
    """Ordinary backpropagation."""

    sees: ClassVar[Sees] = "nothing"

    def start(self, problem: Problem, x: Tensor) -> None:
        return None

    def evaluate(self, problem: Problem, x: Tensor, state: None, t: int) -> Evaluation:
        x = x.detach().requires_grad_(True)
        score = problem.score(x)
        (gradient,) = problem.gradient(score.value, [x])
        return Evaluation(Score(score.value.detach(), score.reached), gradient, None)
