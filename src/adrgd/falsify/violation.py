"""How far inputs are from violating a property: the objective of the search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.domain import round_down, round_up
from adrgd.falsify.alternatives import check_time
from adrgd.falsify.cases import check_room
from adrgd.falsify.property import Case, Property
from adrgd.gates.outside import outside
from adrgd.objective import Score

SOFTNESS = 0.1  # of the present gap: how far behind the largest gap another one may be and still pull


@dataclass(frozen=True)
class Region:
    """The cases of a property that share one box.

    Attributes:
        cases: their numbers in the property.
        lower, upper: (n,) corners among the numbers of the search's precision. An interval that holds none of them is
            the one nearest to its lower end: the network cannot be fed anything closer.
    """

    cases: tuple[int, ...]
    lower: Tensor
    upper: Tensor


def regions(prop: Property, dtype: torch.dtype) -> list[Region]:
    """The boxes of a property, each once, in the order of the file."""
    return [Region(group, *_corners(prop.cases[group[0]], dtype)) for group in prop.boxes()]


def _corners(case: Case, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    lower, upper = round_up(case.lower, dtype), round_down(case.upper, dtype)
    nearest = case.lower.to(dtype)
    none = lower > upper
    return torch.where(none, nearest, lower), torch.where(none, nearest, upper)


class Violation:
    """The gap of each case is the least room that its constraints leave: a counterexample where no gap is negative.

    Each constraint is measured in units of its output coefficients' length, so that the least room means the same
    for all of them.

    Attributes:
        counts: the number of constraints of each case of each region.
        margin: the gap from which on a point counts as a counterexample; above zero once one has turned out to be
            none in the arithmetic that decides.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        prop: Property,
        groups: list[Region],
        dtype: torch.dtype,
        *,
        deadline: float = math.inf,
    ) -> None:
        self.network, self.margin = network, 0.0
        most = max(len(group.cases) for group in groups)
        rows = max((len(case.bound) for case in prop.cases), default=0)
        shape = (len(groups), most, max(rows, 1))
        mixed = any(case.on_inputs is not None for case in prop.cases)
        check_room(math.prod(shape) * (prop.outputs + mixed * prop.inputs))
        self.on_outputs = torch.zeros(*shape, prop.outputs, dtype=dtype)
        self.bound = torch.full(shape, torch.finfo(dtype).max / 4, dtype=dtype)  # more room than any constraint leaves
        self.absent = torch.ones(len(groups), most, dtype=torch.bool)
        self.on_inputs = torch.zeros(*shape, prop.inputs, dtype=dtype) if mixed else None
        self.counts = [[max(1, len(prop.cases[number].bound)) for number in group.cases] for group in groups]
        for at, group in enumerate(groups):
            check_time(deadline)
            for place, number in enumerate(group.cases):
                self._enter(at, place, prop.cases[number])

    def _enter(self, at: int, place: int, case: Case) -> None:
        count = len(case.bound)
        size = case.on_outputs.norm(dim=1)
        if case.on_inputs is not None:
            size = torch.where(size > 0, size, case.on_inputs.norm(dim=1))
            if self.on_inputs is not None:
                self.on_inputs[at, place, :count] = (case.on_inputs / size[:, None]).to(self.on_inputs)
        self.on_outputs[at, place, :count] = (case.on_outputs / size[:, None]).to(self.on_outputs)
        self.bound[at, place, :count] = (case.bound / size).to(self.bound)
        self.absent[at, place] = False

    def gaps(self, x: Tensor, region: Tensor) -> Tensor:
        """(B, cases) of inputs x (B, n) that belong to the regions (B,); -inf where a region has fewer cases."""
        rooms = self.rooms(x, region)
        with outside():
            return rooms.amin(2).masked_fill(self.absent[region], -torch.inf)

    def rooms(self, x: Tensor, region: Tensor) -> Tensor:
        """(B, cases, constraints) the room that each constraint leaves."""
        y = self.network(x)
        reached = torch.einsum("bcmk,bk->bcm", self.on_outputs[region], y)
        if self.on_inputs is not None:
            reached = reached + torch.einsum("bcmn,bn->bcm", self.on_inputs[region], x)
        return self.bound[region] - reached

    def score(self, x: Tensor, region: Tensor, focus: Tensor) -> Score:
        """The gap of the case `focus` (B,), or a soft maximum over all cases where it is -1."""
        gaps = self.gaps(x, region)
        with outside():
            largest = gaps.amax(1)
            scale = SOFTNESS * largest.detach().abs().clamp_min(1e-6)
            anything = scale * torch.logsumexp(gaps / scale[:, None], 1)
            chosen = gaps.gather(1, focus.clamp_min(0)[:, None])[:, 0]
            return Score(torch.where(focus < 0, anything, chosen), largest >= self.margin)
