"""The network as its bounds see it: activations, and an affine map in front of each and behind the last.

A map takes the network's input and the outputs of all layers before it, so that any skip connection is one. What
feeds a map is its *source*: 0 is the network's input, j the output of layer j - 1; stage k leads to the pre-activations
of layer k, the last stage to the network's outputs. Everything is in float64, or its maps in float32 where that is
quicker, and every example is one flat row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from adrgd.bounds.curves import Shape

SMALL = 200_000  # numbers in all matrices together, below which float32 gains nothing

Act = Callable[[int, Tensor], Tensor]
"""From a layer's number and its pre-activations (B, size) to what is used as its outputs."""


class Network(Protocol):
    """Affine maps with activations between them.

    Attributes:
        inputs, outputs: how many numbers an example has.
        curves, sizes: the activation of each layer, and its number of neurons.
        constants: of each stage, what it gives when all its sources are zero: (size,).
        roundings: of each stage, bounds on the number of roundings in any term of it, from its sources on, and in any
            term of the transposed map.
        dtype: of what its maps take and give; constants are in float64.
        off: of each stage (size,): how far its results may be from those of what it stands for; empty where they are
            the same.
    """

    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def curves(self) -> tuple[Shape, ...]: ...
    @property
    def sizes(self) -> tuple[int, ...]: ...
    @property
    def constants(self) -> tuple[Tensor, ...]: ...
    @property
    def roundings(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def off(self) -> tuple[Tensor, ...]: ...

    def pull(self, stage: int, rows: Tensor) -> Mapping[int, Tensor]:
        """Linear functions of a stage's results, rows (..., size), as linear functions of each of its sources."""

    def pick(self, stage: int, chosen: Tensor) -> Mapping[int, Tensor]:
        """The same for single results: `chosen` (...) are their numbers."""

    def walk(self, x: Tensor, act: Act, stage: int | None = None) -> Tensor:
        """What a stage, the last one unless given, makes of inputs x (B, inputs), with `act` for the activations."""

    def reach(self, x: Tensor, act: Act, stage: int | None = None) -> Tensor:
        """The same with the absolute values of all constants of the maps."""

    def single(self) -> Network:
        """The same network with its maps in float32; itself where that would gain nothing."""


@dataclass(frozen=True)
class Matrices:
    """A network small enough to be written out: parts[k][source] is a matrix (size of stage k, size of the source)."""

    inputs: int
    outputs: int
    curves: tuple[Shape, ...]
    sizes: tuple[int, ...]
    constants: tuple[Tensor, ...]
    roundings: tuple[tuple[int, int], ...]
    parts: tuple[Mapping[int, Tensor], ...]
    absolute: tuple[Mapping[int, Tensor], ...]
    dtype: torch.dtype = torch.float64
    off: tuple[Tensor, ...] = ()

    def pull(self, stage: int, rows: Tensor) -> Mapping[int, Tensor]:
        return {source: rows @ matrix for source, matrix in self.parts[stage].items()}

    def pick(self, stage: int, chosen: Tensor) -> Mapping[int, Tensor]:
        return {source: matrix[chosen] for source, matrix in self.parts[stage].items()}

    def walk(self, x: Tensor, act: Act, stage: int | None = None) -> Tensor:
        return self._walk(x, act, stage, self.parts, self.constants)

    def reach(self, x: Tensor, act: Act, stage: int | None = None) -> Tensor:
        return self._walk(x, act, stage, self.absolute, tuple(constant.abs() for constant in self.constants))

    def single(self) -> Network:
        if self.dtype != torch.float64 or sum(one.numel() for part in self.parts for one in part.values()) < SMALL:
            return self
        parts, absolute = (
            tuple({source: matrix.float() for source, matrix in part.items()} for part in both)
            for both in (self.parts, self.absolute)
        )
        return replace(self, parts=parts, absolute=absolute, dtype=torch.float32)

    def _walk(
        self, x: Tensor, act: Act, last: int | None, parts: tuple[Mapping[int, Tensor], ...],
        constants: tuple[Tensor, ...],
    ) -> Tensor:  # fmt: skip
        values = [x]
        for stage, constant in enumerate(constants):
            h = constant.to(self.dtype).expand(len(x), -1)
            for source, matrix in parts[stage].items():
                h = torch.addmm(h, values[source], matrix.T)
            if stage == (len(self.sizes) if last is None else last):
                return h
            values.append(act(stage, h))
        raise IndexError(f"there are {len(constants)} stages, and {last} is none of them")


def values_of(network: Network, x: Tensor) -> Tensor:
    """The network itself: (B, inputs) -> (B, outputs)."""
    return network.walk(x, lambda layer, h: network.curves[layer].value(h))
