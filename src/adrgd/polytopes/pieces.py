"""The linear pieces of a function whose activations are hinges: where a point lies in one, and its facets' normals.

A piece, or cell, is the set of inputs on given sides of all hinges (the paper's activation pattern, a polytope). Inside
it the function is linear, and so are the pre-activations: `heights` over the hinges say how far each facet is, and
which facets are left behind at another point of the same linear map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.gates import Call, Gates, Picked, look

Function = Callable[[Tensor], Tensor]
"""Points (B, ...) to values (B,)."""

AT_ONCE = 400_000  # input numbers of all rows that are worked on together


@dataclass(frozen=True, eq=False)
class Cell:
    """One linear piece, seen from one of its points.

    Attributes:
        x: (1, ...) the point.
        value: of the piece's linear map at x.
        sides: (F,) which side of each facet the piece lies on, 1 or -1; facets are numbered through all layers.
        heights: (F,) h - break of each hinge at x, under the piece's linear map.
    """

    x: Tensor
    value: float
    sides: Tensor
    heights: Tensor

    def across(self, facet: int) -> Cell:
        """The piece on the other side of a facet that x lies on, before its heights are known."""
        sides = self.sides.clone()
        sides[facet] = -sides[facet]
        return replace(self, sides=sides)


def hinges(function: Function, x: Tensor) -> Picked | None:
    """The activations of a function, seen at x (1, ...), if hinges are all that bends it; else None."""
    inventory = look(function, x)
    picked = inventory.pick("all", hinges=True)
    return picked if len(picked) == len(inventory.layers) > 0 and not inventory.others else None


class Pieces:
    """A function seen as its pieces, and the forward and backward passes that looking at them may take.

    Attributes:
        forwards, backwards: passes spent so far, row by row.
    """

    def __init__(self, function: Function, picked: Picked, passes: int) -> None:
        """`picked` are its `hinges`; `passes` of both kinds, together, are allowed."""
        self.function, self.picked, self.limit = function, picked, passes
        self.forwards = self.backwards = 0

    @property
    def left(self) -> int:
        """Passes that may still be spent."""
        return self.limit - self.forwards - self.backwards

    def value(self, x: Tensor) -> float:
        """The function itself at x (1, ...)."""
        self.forwards += 1
        with torch.no_grad():
            return float(self.function(x))

    def at(self, x: Tensor) -> Cell:
        """The piece that x (1, ...) lies in."""
        heights: list[Tensor] = []

        def note(call: Call) -> Any:
            heights.append(_heights(call.hinges, call.saved()))
            return call.original()

        self.forwards += 1
        with torch.no_grad(), Gates(note, self.picked):
            value = float(self.function(x.clone()))
        flat = torch.cat([part.flatten() for part in heights])
        return Cell(x, value, torch.where(flat > 0, 1, -1), flat)

    def within(self, cell: Cell, x: Tensor) -> Cell:
        """The linear map of a piece at another point x (1, ...), inside or outside it."""
        self.forwards += 1
        with torch.no_grad():
            value, heights = self._linear(cell, x.clone())
        return Cell(x, float(value), cell.sides, heights[0])

    def slopes(self, cell: Cell, facets: Tensor) -> Tensor:
        """(M, n) the derivatives, in a piece, of the heights over these facets (M,); -1 stands for the function."""
        found = []
        for part in torch.split(facets, max(1, AT_ONCE // cell.x.numel())):
            x = cell.x.expand(len(part), *cell.x.shape[1:]).clone().requires_grad_(True)
            self.forwards += len(part)
            self.backwards += len(part)
            with torch.enable_grad():
                value, heights = self._linear(cell, x.clone())
                own = part < 0
                chosen = heights.gather(1, part.clamp_min(0)[:, None])[:, 0]
                (gradient,) = torch.autograd.grad(torch.where(own, value, chosen).sum(), [x])
            found.append(gradient.flatten(1))
        return torch.cat(found)

    def _linear(self, cell: Cell, x: Tensor) -> tuple[Tensor, Tensor]:
        """The values (B,) and the heights (B, F) at x (B, ...) under a piece's linear map."""
        kept: list[Tensor] = []
        first = 0

        def straight(call: Call) -> Any:
            nonlocal first
            phi, h = call.hinges, call.saved()
            over = _heights(phi, h)
            kept.append(over.flatten(1))
            gates = (cell.sides[first : first + over[0].numel()] > 0).to(h).view(1, *over.shape[1:])
            first += over[0].numel()
            return call.answer(phi.gated(h, list(gates.unbind(1))))

        with Gates(straight, self.picked):
            value = self.function(x)
        return value, torch.cat(kept, 1)


def _heights(phi: PiecewiseLinear, h: Tensor) -> Tensor:
    """(B, breaks, ...) of pre-activations h (B, ...) over each break."""
    return torch.stack([h - at for at in phi.breaks], 1)
