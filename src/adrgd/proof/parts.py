"""Parts of claims, told from each other by the signs of some neurons, and what is known of all neurons in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adrgd.bounds.curves import Shape
from adrgd.bounds.lines import Interval
from adrgd.bounds.multipliers import Multipliers
from adrgd.bounds.pairs import Product
from adrgd.bounds.relaxation import Relaxation, relax
from adrgd.bounds.slopes import Slopes, free_slopes
from adrgd.bounds.stairs import end_of_half
from adrgd.proof.record import Split

MOST, KEPT = 4096, torch.bfloat16  # parts that begin with the multipliers of what they are half of; their precision
IN_USE = ("lower_slope", "lower_offset", "upper_slope", "upper_offset", "cross")  # by `backward`


@dataclass(frozen=True)
class Start:
    """Where the multipliers of a part begin: those of a part that holds it, in a row of its batch."""

    chosen: Multipliers
    row: int


@dataclass(frozen=True)
class Part:
    """Where these neurons have these signs in a claim's box.

    Attributes:
        weight: its share of all there is.
        bound: the best that is known; the lower, the more room for a point.
        last: nothing is left to split, and only better multipliers can help.
    """

    claim: int
    splits: tuple[Split, ...]
    weight: float
    bound: float = -math.inf
    last: bool = False
    start: Start | None = None

    def half(self, split: Split) -> Part:
        """What is left of it where one neuron more has a sign."""
        return replace(self, splits=(*self.splits, split), weight=self.weight / 2)


def signs_of(parts: Sequence[Part]) -> Tensor:
    """(signs, 4): the row of a part, and a layer, a neuron and its side."""
    found = [(row, *split) for row, part in enumerate(parts) for split in part.splits]
    return torch.tensor(found, dtype=torch.long).view(-1, 4)


class Lines:
    """The lines of all layers over whole boxes, from which those in parts of them follow.

    Args:
        found: the intervals of each layer (boxes, neurons), in float64.
    """

    def __init__(self, curves: Sequence[Shape], found: Sequence[Interval]) -> None:
        self.curves, self.found = curves, found
        self.whole: dict[torch.dtype, list[Relaxation]] = {}

    def of(self, boxes: Tensor, signs: Tensor, dtype: torch.dtype) -> list[Relaxation]:
        """The lines in parts of the boxes with these numbers (parts,), by `signs_of` the parts."""
        if dtype not in self.whole:
            self.whole[dtype] = [relax(c, *f).to(dtype) for c, f in zip(self.curves, self.found, strict=True)]
        found = [one.take(boxes) for one in self.whole[dtype]]
        for layer, rows, neurons, sides in _by_layer(signs):
            curve = self.curves[layer]
            if isinstance(curve, Product):
                low, high = (end[boxes] for end in self.found[layer])
                found[layer] = _anew(curve, low, high, rows, neurons, sides).to(dtype)
                continue
            new = self._signed(layer, boxes[rows], neurons, sides).to(dtype)
            for name, value in vars(new).items():
                if isinstance(value, Tensor):
                    getattr(found[layer], name)[rows, neurons] = value[0]
        return found

    def halves(
        self, relaxations: list[Relaxation], slopes: Slopes, at: Tensor, boxes: Tensor, signs: Tensor
    ) -> tuple[list[Relaxation], dict[int, Tensor]]:
        """Lines and lower slopes, for `backward` alone, of some rows with one more sign in each."""
        found = []
        for one in relaxations:
            fields = vars(one)
            found.append(replace(one, **{name: fields[name][at] for name in IN_USE if fields[name] is not None}))
        taken = {layer: slope[at] for layer, slope in slopes.items()}
        for layer, rows, neurons, sides in _by_layer(signs):
            curve, old = self.curves[layer], relaxations[layer]
            if isinstance(curve, Product):
                found[layer] = _anew(curve, old.lower[at], old.upper[at], rows, neurons, sides)
                continue
            new = self._signed(layer, boxes[rows], neurons, sides).to(old.lower_slope.dtype)
            for name in IN_USE:
                if getattr(new, name) is not None:
                    getattr(found[layer], name)[rows, neurons] = getattr(new, name)[0]
            if layer in taken:
                taken[layer][rows, :, neurons] = new.lower_slope[0, :, None]
        return found, taken

    def _signed(self, layer: int, boxes: Tensor, neurons: Tensor, sides: Tensor) -> Relaxation:
        """The lines (1, signs) of neurons whose signs are known."""
        low, high = (end[boxes, neurons] for end in self.found[layer])
        return relax(self.curves[layer], *_clamped(self.curves[layer], low[None], high[None], sides))


def _by_layer(signs: Tensor) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """For each layer of `signs_of`: rows, neurons, sides."""
    for layer in sorted(set(signs[:, 1].tolist())):
        rows, _, neurons, sides = signs[signs[:, 1] == layer].unbind(1)
        yield layer, rows, neurons, sides


def _clamped(curve: Shape, low: Tensor, high: Tensor, sides: Tensor) -> Interval:
    """Intervals cut at zero, as the sides (..., signs) say; a part where nothing is left may have any bounds."""
    low = torch.where(sides < 0, low.clamp(min=0.0), low)
    high = torch.where(sides > 0, high.clamp(max=end_of_half(curve, 1)), high)
    return low, torch.maximum(low, high)


def _anew(curve: Shape, low: Tensor, high: Tensor, rows: Tensor, neurons: Tensor, sides: Tensor) -> Relaxation:
    """The lines of a layer whose neurons are bounded in pairs."""
    known = torch.zeros(low.shape, dtype=torch.long)
    known[rows, neurons] = sides
    return relax(curve, *_clamped(curve, low, high, known))


def multipliers_of(
    starts: Sequence[Start | None], signs: Tensor, relaxations: list[Relaxation], rows: int, sums: Tensor | None = None
) -> Multipliers:
    """What parts begin with, where they have a start, and the usual slopes where they have none.

    Args:
        rows: of each part's functions, their sum included.
        sums: (parts, functions) multipliers in the sum, to begin with.
    """
    slopes = {k: slope.expand(-1, rows, -1).clone() for k, slope in free_slopes(relaxations).items()}
    weights: dict[int, Tensor] = {}
    sides: dict[int, Tensor] = {}
    for layer in sorted(set(signs[:, 1].tolist())):
        at, _, neurons, side = signs[signs[:, 1] == layer].unbind(1)
        like = relaxations[layer].lower_slope
        sides[layer] = torch.zeros_like(like)
        sides[layer][at, neurons] = side.to(like)
        weights[layer] = like.new_zeros(len(like), rows, like.shape[1])
    for row, start in enumerate(starts):
        if start is None:
            continue
        for layer, slope in slopes.items():
            slope[row] = start.chosen.slopes[layer][start.row]
        for layer, weight in weights.items():
            if layer in start.chosen.weights:
                weight[row] = start.chosen.weights[layer][start.row]
        if sums is not None and start.chosen.sums is not None:
            sums[row] = start.chosen.sums[start.row]
    return Multipliers(_fitting(slopes, relaxations), sides, weights, sums)


def _fitting(slopes: dict[int, Tensor], relaxations: list[Relaxation]) -> dict[int, Tensor]:
    """Slopes where there is a choice, and the only right one elsewhere."""
    found = {}
    for layer, slope in slopes.items():
        low, high = relaxations[layer].span or (0.0, 0.0)
        fixed = relaxations[layer].lower_slope[:, None]
        found[layer] = torch.where(relaxations[layer].bent[:, None], slope.clamp(low, high), fixed)
    return found
