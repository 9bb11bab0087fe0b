"""A walk over polytopes: the best point of a piece, then across the facet that holds it back, while that gains.

The paper moves from piece to piece by softening the gates; where only a little is missing the pieces can be taken one
by one, each exactly. A walk ends where no piece across a facet of the best point has a better one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.polytopes.pieces import Pieces
from adrgd.polytopes.summit import PASSES, summit

NEIGHBOURS = 30  # tried from one point, at most
GAIN = 1e-6  # what counts as one, relative to the value


@dataclass(frozen=True, eq=False)
class Walked:
    """Where a walk ended.

    Attributes:
        x: (1, ...) the best point.
        value: the function's value there.
        pieces: how many were entered.
    """

    x: Tensor
    value: float
    pieces: int


def walk(pieces: Pieces, x: Tensor, low: Tensor, high: Tensor, enough: Callable[[float], bool]) -> Walked:
    """Raise the function from x (1, ...), which lies in the box from `low` to `high`, until its passes are spent.

    Args:
        enough: whether a value ends the walk.
    """
    best, value, entered = x, pieces.value(x), 1
    if pieces.left < PASSES:
        return Walked(best, value, entered)
    here = summit(pieces, pieces.at(x), low, high, torch.empty(0, dtype=torch.int64, device=x.device))
    reached = pieces.value(here.cell.x)
    while True:
        if reached > value:
            best, value = here.cell.x, reached
            if enough(value):
                break
        start, gained = here, False
        for facet in start.facets[:NEIGHBOURS].tolist():
            if pieces.left < PASSES:
                break
            crossed = pieces.within(start.cell.across(facet), start.cell.x)
            there = summit(pieces, crossed, low, high, start.facets)
            reached = pieces.value(there.cell.x)
            if reached > value + GAIN * max(1.0, abs(value)):
                here, gained, entered = there, True, entered + 1
                break
        if not gained:
            break
    return Walked(best, value, entered)
