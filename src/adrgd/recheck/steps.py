"""What a network is made of here: linear maps, numbers that are added, and activations, each from tensor to tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adrgd.recheck.arithmetic import Arithmetic, Array, Numbers


@dataclass(frozen=True, eq=False)
class Matrix:
    """result = matrix @ given, for each of some columns: given is (columns, inner), and result (columns, outer)."""

    matrix: Array
    columns: int = 1

    @property
    def terms(self) -> int:
        return len(self.matrix)

    def pull(self, rows: Numbers, arithmetic: Arithmetic, *, absolute: bool = False) -> Numbers:
        matrix = arithmetic.constant(self.matrix, absolute)
        flat = rows.reshape(len(rows) * self.columns, self.matrix.shape[0])
        return (flat @ matrix).reshape(len(rows), self.columns * self.matrix.shape[1])


@dataclass(frozen=True, eq=False)
class Scale:
    """result = scale * given, number by number; `divides` where it is given / scale."""

    scale: Array
    divides: bool = False
    terms: int = 1

    def pull(self, rows: Numbers, arithmetic: Arithmetic, *, absolute: bool = False) -> Numbers:
        scale = arithmetic.constant(self.scale, absolute)
        return rows / scale if self.divides else rows * scale


@dataclass(frozen=True, eq=False)
class Move:
    """result[to] = given[at], and zero elsewhere."""

    at: Array
    to: Array
    size: int
    outputs: int

    @property
    def terms(self) -> int:
        most = int(np.bincount(self.at, minlength=1).max(initial=1))
        return 0 if most == 1 else most

    def pull(self, rows: Numbers, arithmetic: Arithmetic, *, absolute: bool = False) -> Numbers:
        return arithmetic.scatter(rows[:, self.to], self.size, self.at)


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution in two dimensions: weight (outer, inner / groups, height, width).

    Attributes:
        places: for each place of the kernel, which pixels of the input meet which of the output.
        inner, outer: (channels, height, width) of both.
    """

    weight: Array
    groups: int
    places: tuple[tuple[int, int, Array, Array], ...]
    inner: tuple[int, int, int]
    outer: tuple[int, int, int]

    @property
    def terms(self) -> int:
        return len(self.weight) * int(np.prod(self.weight.shape[2:]))

    def pull(self, rows: Numbers, arithmetic: Arithmetic, *, absolute: bool = False) -> Numbers:
        weight = arithmetic.constant(self.weight, absolute)
        outer, inner = len(self.weight) // self.groups, self.weight.shape[1]
        pixels = self.inner[1] * self.inner[2]
        flat = rows.reshape(len(rows), self.outer[0], self.outer[1] * self.outer[2])
        found: Numbers = None
        for group in range(self.groups):
            mine = slice(group * outer, (group + 1) * outer)
            channels = (group * inner + np.arange(inner)) * pixels
            for y, x, met, meeting in self.places:
                some = flat[:, mine][:, :, meeting]
                turned = _swapped(some).reshape(len(rows) * len(meeting), outer) @ weight[mine][:, :, y, x]
                at = (met[:, None] + channels[None]).reshape(-1)
                part = arithmetic.scatter(turned.reshape(len(rows), len(meeting) * inner), self.inner[0] * pixels, at)
                found = part if found is None else found + part
        return found


def _swapped(rows: Numbers) -> Numbers:
    """(n, channels, pixels) as (n, pixels, channels)."""
    return rows.transpose(0, 2, 1)


@dataclass(frozen=True, eq=False)
class Activation:
    """Relu and LeakyRelu: `slope` h below zero and h above; Sigmoid and Tanh.

    Attributes:
        layer: its number among the activations.
    """

    kind: str
    layer: int
    slope: float = 0.0


@dataclass(frozen=True, eq=False)
class Step:
    """A tensor that is computed from others: a sum of linear maps of them and numbers, or an activation of one.

    Attributes:
        parts: names and maps; a map that is None is the identity.
        added: numbers (size,), or None.
    """

    output: str
    size: int
    parts: tuple[tuple[str, Any], ...]
    added: Array | None = None
    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """The steps of a network in an order in which they can be made.

    Attributes:
        sizes: of the layers of activations.
        before, after: the tensors that they take and make.
    """

    input: str
    inputs: int
    output: str
    outputs: int
    steps: tuple[Step, ...]
    activations: tuple[Activation, ...]
    sizes: tuple[int, ...]
    before: tuple[str, ...]
