"""What a property asks for: boxes of inputs, and linear constraints that a counterexample satisfies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import torch
from torch import Tensor

from adrgd.errors import UsageError


class PropertyError(UsageError):
    """A property's file is malformed, or asks for something that cannot be searched."""


@dataclass(frozen=True, eq=False)
class Case:
    """One box of inputs x and one conjunction of constraints: on_inputs @ x + on_outputs @ y <= bound.

    A point of the box at which all m constraints hold is a counterexample; with m = 0 every point of it is. All numbers
    are float64. Cases with the same box share its tensors.

    Attributes:
        lower, upper: (n,) corners of the box; lower <= upper, all finite.
        on_outputs: (m, k) coefficients of the outputs y.
        on_inputs: (m, n) coefficients of the inputs x; None when no constraint mentions an input.
        bound: (m,) right-hand sides.
        strict: (m,) bool, true where < is asked for instead of <=.
        inside: the corners of the largest box that lies inside the decimals of the file, which float64 may hold only
            nearly; None where it is the same.
        written: the sides of no width, as the file writes them.
    """

    lower: Tensor
    upper: Tensor
    on_outputs: Tensor
    on_inputs: Tensor | None
    bound: Tensor
    strict: Tensor
    inside: tuple[Tensor, Tensor] | None = None
    written: Mapping[int, Decimal] = field(default_factory=dict)

    @property
    def innermost(self) -> tuple[Tensor, Tensor]:
        """The corners inside the decimals of the file."""
        return (self.lower, self.upper) if self.inside is None else self.inside

    def slack(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, m) room that each constraint leaves at inputs x (B, n) with outputs y (B, k); negative where broken."""
        reached = y.double() @ self.on_outputs.T
        if self.on_inputs is not None:
            reached = reached + x.double() @ self.on_inputs.T
        return self.bound - reached

    def contains(self, x: Tensor, tolerance: float = 0.0) -> Tensor:
        """(B,) whether each x (B, n) lies in the box, widened on all sides by `tolerance`."""
        exact = x.double()
        return ((exact >= self.lower - tolerance) & (exact <= self.upper + tolerance)).all(1)

    def holds(self, x: Tensor, y: Tensor, tolerance: float = 0.0) -> Tensor:
        """(B,) whether all constraints hold, each eased by `tolerance`; a strict one needs room beyond that."""
        room = self.slack(x, y) + tolerance
        return torch.where(self.strict, room > 0, room >= 0).all(1)


@dataclass(frozen=True)
class Variable:
    """A tensor as a file of version 2 declares it.

    Attributes:
        kind: the type of its numbers, as the file writes it: "real", "float32", ...
        onnx: its name in the network's file; empty where its place says which one it is.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    onnx: str = ""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Declared:
    """A network as a file of version 2 declares it.

    Attributes:
        equal_to: the name of another network whose file it shares; empty for one with a file of its own.
    """

    name: str
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    equal_to: str = ""


@dataclass(frozen=True, eq=False)
class Property:
    """The cases of a property: a counterexample to any one of them violates it.

    Inputs that the file makes equal are one number of x.

    Attributes:
        cases: none when the constraints contradict each other, so that nothing can violate the property.
        inputs: how many numbers x has.
        outputs: how many numbers y has.
        columns: for each input of the file, its place in x; None where x holds them as they are.
        networks: as a file of version 2 declares them, whose inputs and outputs are numbered one after the other;
            none in version 1.
    """

    cases: tuple[Case, ...]
    inputs: int
    outputs: int
    columns: tuple[int, ...] | None = None
    networks: tuple[Declared, ...] = ()

    @property
    def given(self) -> int:
        """How many inputs the file has."""
        return self.inputs if self.columns is None else len(self.columns)

    def spread(self, x: Tensor) -> Tensor:
        """All inputs of the file (given,), from x (inputs,)."""
        return x if self.columns is None else x[torch.tensor(self.columns)]

    def gathered(self, full: Tensor) -> Tensor | None:
        """x (inputs,) from all inputs of the file (given,); None where those differ that are to be equal."""
        if self.columns is None:
            return full
        x = full.new_zeros(self.inputs)
        x[torch.tensor(self.columns)] = full
        return x if torch.equal(self.spread(x), full) else None

    def boxes(self) -> list[tuple[int, ...]]:
        """The numbers of the cases that share a box, for each box once, in the order of the cases."""
        numbers: dict[int, list[int]] = {}
        for number, case in enumerate(self.cases):
            numbers.setdefault(id(case.lower), []).append(number)
        return [tuple(group) for group in numbers.values()]

    def eased(self, tolerance: float) -> Property:
        """The same, its boxes widened and its constraints eased by this absolute amount."""
        cases = list(self.cases)
        for group in self.boxes():
            lower, upper = cases[group[0]].lower - tolerance, cases[group[0]].upper + tolerance
            for at in group:
                bound = cases[at].bound + tolerance
                cases[at] = replace(cases[at], lower=lower, upper=upper, bound=bound, inside=None)
        return replace(self, cases=tuple(cases))
