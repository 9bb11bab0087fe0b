"""How a proof split its claims, kept so that the proof can be written down."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes

Split = tuple[int, int, int]
"""A layer, a neuron in it, and its side: -1 where it is not negative, 1 where it is not positive."""


@dataclass
class Node:
    """A part of a claim: a leaf until it is split.

    Attributes:
        variable: what it is split at: an input's number or, from the number of inputs on, a neuron's, counted through
            all layers; -1 where it is not split.
        at: where an input is split.
        halves: below and above; where the neuron is not negative and where it is not positive.
    """

    variable: int = -1
    at: float = 0.0
    halves: list[Node] = field(default_factory=list)

    def divide(self, variable: int, at: float = 0.0) -> list[Node]:
        """The two halves."""
        self.variable, self.at, self.halves = variable, at, [Node(), Node()]
        return self.halves


class Record:
    """One tree for each claim.

    Attributes:
        roots: of the trees.
    """

    def __init__(self, claims: int, inputs: int, sizes: tuple[int, ...]) -> None:
        self.roots = [Node() for _ in range(claims)]
        self.nodes = list(self.roots)
        self.firsts = list(itertools.accumulate((inputs, *sizes)))

    def halved(self, numbers: Tensor, before: Boxes, children: Boxes) -> Tensor:
        """Boxes with these numbers (n,) were halved; the numbers of all first and then of all second halves."""
        count = len(numbers)
        axes = (children.upper[:count] != before.upper).to(torch.uint8).argmax(1)
        places = children.upper[torch.arange(count), axes]
        made = len(self.nodes)
        halves = [
            self.nodes[number].divide(axis, at)
            for number, axis, at in zip(numbers.tolist(), axes.tolist(), places.tolist(), strict=True)
        ]
        for side in (0, 1):
            self.nodes += [pair[side] for pair in halves]
        return torch.arange(made, len(self.nodes))

    def refuted(self, parts: Iterable[tuple[int, tuple[Split, ...]]]) -> None:
        """Parts of claims, each with these signs of neurons, were refuted."""
        for claim, splits in parts:
            node = self.roots[claim]
            for layer, neuron, side in splits:
                halves = node.halves or node.divide(self.firsts[layer] + neuron)
                node = halves[0 if side < 0 else 1]
