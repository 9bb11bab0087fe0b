"""Activation layers before any solver runs, and picking some of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from adrgd.activations import Activation, MaxPool
from adrgd.activations.choices import Largest
from adrgd.errors import UsageError
from adrgd.gates.layouts import ROWS_FIRST, Layout


@dataclass(frozen=True)
class Layer:
    """What is known of one activation layer before any solver runs.

    Attributes:
        number: its place in call order.
        name: the function that was called, e.g. "relu".
        shape: the shape of one row's pre-activations.
        phi: the activation function.
        layout: where the rows are in its tensor.
        kind: what it is called in tables and summaries, whichever way it was called.
        module: the module that made the call; empty where that is not known.
        outside: it is none of the network's own; see `adrgd.gates.outside`.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    phi: Activation
    layout: Layout = ROWS_FIRST
    kind: str = ""
    module: str = ""
    outside: bool = False

    @property
    def neurons(self) -> int:
        return int(torch.Size(self.shape).numel())


@dataclass(frozen=True)
class Picked:
    """Selected layers.

    Attributes:
        numbers: theirs.
        layouts: where the rows are, for those of them that do not have them first.
        written: some layers of the network are written out, so that expressions must be followed to number calls.
    """

    numbers: frozenset[int] = frozenset()
    layouts: Mapping[int, Layout] = field(default_factory=dict)
    written: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, number: object) -> bool:
        return number in self.numbers


Selected = Picked | frozenset[int] | None
"""Layers for `Gates`: None stands for all that are piecewise linear."""

Layers = str | Iterable[int] | Callable[[Layer], bool]
"""Which layers to gate: "all", "last:K", a predicate, or numbers ("0,3", or a sequence).

Numbers count the layers that `find_layers` lists, from 0, and negative ones from the end; layers that choose the
largest of several numbers (max-pooling) have no number, and are among "all".
"""


def select(layers: Layers, among: list[Layer]) -> frozenset[int]:
    """The layer numbers that `layers` picks out of `among`.

    Raises:
        UsageError: `layers` does not parse, or names a layer that does not exist.
    """
    if callable(layers):
        return frozenset(layer.number for layer in among if layers(layer))
    if layers == "all":
        return frozenset(layer.number for layer in among)
    if not isinstance(layers, Iterable):
        raise _not_understood(layers)
    among = [layer for layer in among if not isinstance(layer.phi, MaxPool | Largest)]
    wanted: Iterable[int | str] = layers.split(",") if isinstance(layers, str) else layers
    if isinstance(layers, str) and layers.startswith("last:"):
        count = _integer(layers.removeprefix("last:"), layers)
        if count < 1:
            raise _not_understood(layers)
        wanted = range(-count, 0)
    picked = set()
    for item in wanted:
        at = _integer(item, layers)
        if not -len(among) <= at < len(among):
            raise UsageError(
                f"layers={layers!r} asks for layer {at}; expected one of the {len(among)} activation layers seen"
            )
        picked.add(among[at].number)
    return frozenset(picked)


def _integer(text: int | str, layers: object) -> int:
    try:
        return int(text) if isinstance(text, str) else operator.index(text)
    except (TypeError, ValueError):
        raise _not_understood(layers) from None


def _not_understood(layers: object) -> UsageError:
    return UsageError(f'layers={layers!r} is not understood; expected "all", "last:K" or numbers such as "0,2"')
