"""Walks over the polytopes around near misses: the last of a cycle of rounds, where the network is piecewise linear.

A conjunction holds where its least room is not negative. The least of several numbers is made of hinges, as those of
the network are: min(a, b) = a - max(0, a - b). So a walk raises the conjunction as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from adrgd.falsify.violation import Violation
from adrgd.gates import Picked
from adrgd.polytopes import Pieces, hinges, walk


class Walker:
    """Walks in the regions of a property, until a deadline of `time.monotonic()`."""

    def __init__(self, violation: Violation, deadline: float) -> None:
        self.violation, self.deadline = violation, deadline
        self.done: set[tuple[int, float]] = set()
        self.bent = False
        self.passes = 0

    def raised(
        self, x: Tensor, gap: float, region: int, lower: Tensor, upper: Tensor, passes: int
    ) -> tuple[Tensor, float] | None:
        """A better point than x (n,), where the gap is `gap`, in the box of a region, and its gap; None for none."""
        if (region, gap) in self.done or self.bent:
            return None
        self.done.add((region, gap))
        room = self._room(x, region)
        picked = hinges(room, x[None])
        if picked is None:  # something else than hinges bends the network, and will at other points
            self.bent = True
            return None
        pieces = _Timed(room, picked, passes, self.deadline)
        found = walk(pieces, x[None], lower[None], upper[None], lambda value: value >= self.violation.margin)
        self.passes += pieces.forwards + pieces.backwards
        with torch.no_grad():
            reached = float(self.violation.gaps(found.x, torch.tensor([region])).amax())
        return (found.x[0], reached) if reached > gap else None

    def _room(self, x: Tensor, region: int) -> Callable[[Tensor], Tensor]:
        """The least room of the conjunction that is nearest at x (n,)."""
        violation, row = self.violation, torch.tensor([region])
        with torch.no_grad():
            case = int(violation.gaps(x[None], row).argmax())
        count = violation.counts[region][case]

        def room(points: Tensor) -> Tensor:
            least, *others = violation.rooms(points, row.expand(len(points)))[:, case, :count].unbind(1)
            for other in others:
                least = least - torch.relu(least - other)
            return least

        return room


class _Timed(Pieces):
    """Pieces that may be looked at until a deadline."""

    def __init__(self, function: Callable[[Tensor], Tensor], picked: Picked, passes: int, deadline: float) -> None:
        super().__init__(function, picked, passes)
        self.deadline = deadline

    @property
    def left(self) -> int:
        """Passes that may still be spent."""
        return super().left if time.monotonic() < self.deadline else 0
