"""Bounds of the neurons between inputs and outputs, raised by branch and bound, for networks that are small enough.

How loose a bound of the outputs is, is decided in the first layers: what is lost there is multiplied by each layer that
follows. Each side of each neuron that bends has a tree of its own; where there is time, the part with the lowest bound
is looked at again, if a layer before it was bounded more closely meanwhile, or split.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappush, heapreplace

import torch

from adrgd.bounds.backward import Boxes, Goal
from adrgd.bounds.boxes import losses
from adrgd.bounds.lines import Interval
from adrgd.bounds.margins import Margins
from adrgd.bounds.multipliers import optimise
from adrgd.bounds.network import Network
from adrgd.proof.parts import KEPT, Lines, Part, Start, multipliers_of, signs_of

ROWS = 256  # parts at once
FIRST_STEPS, STEPS = 10, 4  # of slopes and multipliers, in whole boxes and in parts of them
LEAVES = 20_000  # parts that keep the multipliers they ended with


@dataclass(frozen=True, order=True)
class _Leaf:
    """A part of a tree; `split` is the layer and the neuron to split, and nothing is left to split without."""

    bound: float
    number: int
    turn: int
    split: tuple[int, int] | None
    part: Part


class Middle:
    """Bounds over one box.

    Attributes:
        intervals: the best that are known, (1, neurons) each.
    """

    def __init__(self, network: Network, box: Boxes, intervals: list[Interval]) -> None:
        self.network, self.box, self.intervals = network, box, list(intervals)
        self.trees: dict[tuple[int, int], list[_Leaf]] = {}
        self.turns = self.leaves = 0

    def turn(self, seconds: float) -> Iterator[None]:
        """Tighten the layers one after the other, for so many seconds in all, but each tree once in the first turn.

        It pauses after every piece of work.
        """
        self.turns += 1
        layers = len(self.network.sizes)
        margins = Margins(self.network, self.box.lower, self.box.upper)
        for layer in range(layers):
            if layer:
                yield from self._layer(layer, margins, seconds / (layers - 1))
            margins.extend(self.intervals[: layer + 1])

    def _layer(self, layer: int, margins: Margins, seconds: float) -> Iterator[None]:
        lines = Lines(self.network.curves[:layer], self.intervals[:layer])
        spent = 0.0
        while self.turns == 1 or spent < seconds:
            low, high = self.intervals[layer]
            own = ((low < 0) & (high > 0))[0].nonzero()[:, 0]
            wanted = self._due(layer, torch.cat([own, own + low.shape[1]]).tolist())
            for start in range(0, len(wanted), ROWS):
                began = time.monotonic()
                self._look(layer, lines, margins, wanted[start : start + ROWS])
                yield
                spent += time.monotonic() - began
                if self.turns > 1 and spent > seconds:
                    break
            self._gather(layer)
            if self.turns == 1 or not wanted:
                break

    def _due(self, layer: int, sides: list[int]) -> list[tuple[int, list[Part]]]:
        """What to look at in the trees of some neurons: by tree the parts in place of its lowest leaf."""
        found = []
        for side in sides:
            tree = self.trees.setdefault((layer, side), [])
            if not tree:
                found.append((side, [Part(side, (), 1.0)]))
            elif tree[0].turn < self.turns:
                found.append((side, [tree[0].part]))
            elif (split := tree[0].split) is not None:
                found.append((side, [tree[0].part.half((*split, k)) for k in (-1, 1)]))
        return found

    def _look(self, layer: int, lines: Lines, margins: Margins, wanted: list[tuple[int, list[Part]]]) -> None:
        """Bound parts, and put them in the places of the leaves they come from."""
        parts = [part for _, some in wanted for part in some]
        signs = signs_of(parts)
        count = len(parts)
        relaxations = lines.of(torch.zeros(count, dtype=torch.long), signs, self.network.dtype)
        chosen = multipliers_of([part.start for part in parts], signs, relaxations, 1)
        boxes = self.box.take(torch.zeros(count, dtype=torch.long))
        linear, coefficients = optimise(
            self.network, self._goal(layer, margins, [part.claim for part in parts]), relaxations, boxes, chosen,
            margins, steps=STEPS if len(signs) else FIRST_STEPS, enough=torch.zeros(count, 1, dtype=torch.float64),
        )  # fmt: skip
        lost = losses(coefficients[:layer], relaxations)
        bent = torch.cat([torch.where(r.bent, one, 0.0) for one, r in zip(lost, relaxations, strict=True)], 1)
        splits: list[tuple[int, int] | None] = [None] * count
        if bent.shape[1]:  # of earlier layers in which nothing bends there is nothing left
            worth, where = bent.max(1)
            splits = [
                self._place(at) if most > 0 else None for at, most in zip(where.tolist(), worth.tolist(), strict=True)
            ]
        kept = chosen.to(KEPT)
        row = 0
        for side, some in wanted:
            for k, part in enumerate(some):
                self.leaves += 1
                bound = max(part.bound, float(linear.value[row, 0].nan_to_num(-torch.inf)))
                start = Start(kept, row) if self.leaves < LEAVES else part.start
                leaf = _Leaf(bound, self.leaves, self.turns, splits[row], replace(part, bound=bound, start=start))
                tree = self.trees[layer, side]
                if k == 0 and tree:
                    heapreplace(tree, leaf)
                else:
                    heappush(tree, leaf)
                row += 1

    def _goal(self, layer: int, margins: Margins, sides: list[int]) -> Goal:
        """A layer's neurons, or those behind them with the opposite sign, one for each part."""
        size = self.network.sizes[layer]
        numbers = torch.tensor(sides)
        sign = torch.where(numbers < size, 1.0, -1.0)[:, None]
        neurons = numbers % size
        offset = sign[:, 0].double() * self.network.constants[layer][neurons] - margins.steps[layer][neurons]
        parts = self.network.pick(layer, neurons)
        return Goal(layer, {source: (part * sign)[:, None] for source, part in parts.items()}, offset[:, None])

    def _gather(self, layer: int) -> None:
        """Take over what the trees of a layer say."""
        low, high = (end.clone() for end in self.intervals[layer])
        size = low.shape[1]
        for (at, side), tree in self.trees.items():
            if at == layer and tree:
                end, neuron = divmod(side, size)
                if end:
                    high[0, neuron] = min(float(high[0, neuron]), -tree[0].bound)
                else:
                    low[0, neuron] = max(float(low[0, neuron]), tree[0].bound)
        self.intervals[layer] = low, torch.maximum(low, high)

    def _place(self, number: int) -> tuple[int, int]:
        """Layer and neuron, from a number that counts through all layers."""
        layer = 0
        while number >= self.network.sizes[layer]:
            number -= self.network.sizes[layer]
            layer += 1
        return layer, number
