"""Upper bounds of an objective over a domain, beside what a search found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from adrgd.bounds.backward import Boxes
from adrgd.bounds.balls import Ball
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import Network
from adrgd.bounds.reading import read_network
from adrgd.domain import BoundDomain
from adrgd.domain.ball import BoundBall
from adrgd.domain.enclosing import enclosing
from adrgd.domain.l1 import BoundL1Ball
from adrgd.domain.l2 import BoundL2Ball
from adrgd.proof.upper import UpperBound, upper_bound
from adrgd.solution import Bounded, Solution
from adrgd.solvers.solver import Objective, as_score, takes_rows

NORMS: dict[type[BoundBall], Literal["l2", "l1"]] = {BoundL2Ball: "l2", BoundL1Ball: "l1"}


class _InDouble(TorchFunctionMode):
    """Gives every function of torch its numbers in double precision, a network's parameters among them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        if getattr(func, "__name__", "") in ("to", "float", "type", "__get__", "__set__"):
            return func(*args, **(kwargs or {}))
        return func(*_doubled(args), **{key: _doubled(value) for key, value in (kwargs or {}).items()})


def _doubled(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.dtype == torch.float32 else value
    if isinstance(value, tuple | list) and any(isinstance(one, Tensor) for one in value):
        return type(value)(_doubled(one) for one in value)
    return value


def with_bounds(solution: Solution, objective: Objective, domain: BoundDomain, *, seconds: float) -> Solution:
    """The solution with an upper bound of each row; where there is none, with the reason.

    The rows share the seconds evenly, and what one leaves goes to those after it.
    """
    began = time.monotonic()
    corners = enclosing(domain)
    found: list[UpperBound] = []
    networks: dict[int, Network] = {}
    for row in range(len(solution.value)):
        share = max(0.0, began + seconds - time.monotonic()) / (len(solution.value) - row)
        found.append(_one(solution, objective, domain, corners, row, share, networks))
    device = solution.value.device
    return replace(
        solution,
        upper_bound=torch.tensor([one.value for one in found], dtype=torch.float64, device=device),
        bounded=Bounded(
            sum(one.nodes for one in found), sum(one.seconds for one in found), tuple(one.reason for one in found)
        ),
    )  # fmt: skip


def _one(
    solution: Solution, objective: Objective, domain: BoundDomain, corners: tuple[Tensor, Tensor] | None, row: int,
    seconds: float, networks: dict[int, Network],
) -> UpperBound:  # fmt: skip
    began = time.monotonic()
    try:
        if corners is None:
            raise NoBoundsError("no box is known that holds all points of this domain")
        lower, upper = (corner[row : row + 1].detach().cpu().flatten(1) for corner in corners)
        if not bool((lower.isfinite() & upper.isfinite()).all()):
            raise NoBoundsError("the domain goes on forever")
        own = row if takes_rows(objective) else 0
        if own not in networks:
            networks[own] = read_network(_function(objective, row), solution.x[row : row + 1])
        box = Boxes(lower, upper, _ball(domain, row))
        return upper_bound(networks[own], box, float(solution.value[row]), seconds=seconds)
    except NoBoundsError as error:
        return UpperBound(float("inf"), 0, time.monotonic() - began, str(error))


def _ball(domain: BoundDomain, row: int) -> Ball | None:
    """The ball of a row inside its box, in the norms whose balls are bounded."""
    for kind, norm in NORMS.items():
        if isinstance(domain, kind):
            return Ball(norm, domain.centre[row : row + 1].detach().cpu().double().flatten(1), float(domain.eps[row]))
    return None


def _function(objective: Objective, row: int) -> Callable[[Tensor], Tensor]:
    """The objective of one row, as a network with one output."""
    own = takes_rows(objective)

    def run(x: Tensor) -> Tensor:
        with _InDouble():
            more = (torch.full((len(x),), row),) if own else ()
            answer: Any = objective(x, *more)
            return as_score(answer, len(x)).value[:, None]

    return run
