"""The best point of one linear piece inside a box: a linear program whose facets are found as they are met.

Most facets are too far away to matter, and the normal of each costs a backward pass. So the program starts with those
that are known, and each solution is tried under the piece's own linear map, which one forward pass tells: facets that
it leaves behind are added, until none is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import torch
from torch import Tensor

from adrgd.polytopes.pieces import Cell, Pieces

ROUNDS = 12  # of adding facets
MOST = 48  # facets added in a round, those left furthest behind
SLACK = 1e-6  # how far behind a facet still counts as on it, in units of the largest height
PULL = 1e-9  # multipliers below are none
PIVOTS = 10_000  # of a program, at most
PASSES = 8  # that a summit takes at least


@dataclass(frozen=True, eq=False)
class Summit:
    """The best point of a piece.

    Attributes:
        cell: the piece, seen from there.
        facets: (K,) those that the point lies on and that keep it from going on, the strongest first.
    """

    cell: Cell
    facets: Tensor


def summit(pieces: Pieces, cell: Cell, low: Tensor, high: Tensor, known: Tensor) -> Summit:
    """Find it, in the box from `low` to `high` (1, ...), which holds the cell's point.

    Where passes or rounds end before all facets are known, it is the last point on the way to the best one that is
    still in the piece.

    Args:
        known: (L,) numbers of facets to begin with.
    """
    program = _Program(pieces, cell, low, high, known)
    found, pulls = program.solve()
    for _ in range(ROUNDS):
        missed = program.missed(found)
        count = min(MOST, pieces.left // 2 - 2)
        if not len(missed) or count < 1:
            break
        program.add(missed[:count])
        found, pulls = program.solve()
    if len(program.missed(found)):
        found = pieces.within(cell, torch.lerp(cell.x, found.x, _share(cell, found)))
    order = np.argsort(-pulls, kind="stable")
    return Summit(found, program.facets[torch.from_numpy(order[pulls[order] > PULL])])


class _Program:
    """max slope . step, for steps that stay in the box and on the right side of the facets added so far."""

    def __init__(self, pieces: Pieces, cell: Cell, low: Tensor, high: Tensor, known: Tensor) -> None:
        self.pieces, self.cell, self.low, self.high = pieces, cell, low, high
        self.facets = torch.empty(0, dtype=torch.int64, device=cell.x.device)
        self.slack = SLACK * float(cell.heights.abs().amax().clamp_min(1))
        self.highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self.highs.silent()
        self.highs.setOptionValue("threads", 1)
        self.highs.setOptionValue("simplex_iteration_limit", PIVOTS)
        room = [_numbers((end.double() - cell.x.double()).flatten()) for end in (low, high)]
        self.highs.addVars(cell.x.numel(), *room)
        self.highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        known = known[: max(0, pieces.left // 2 - 3)]
        slopes = pieces.slopes(cell, torch.cat([known.new_tensor([-1]), known]))
        self.highs.changeColsCost(cell.x.numel(), np.arange(cell.x.numel(), dtype=np.int32), _numbers(slopes[0]))
        self._put(known, slopes[1:])

    def add(self, facets: Tensor) -> None:
        """Add facets (M,)."""
        self._put(facets, self.pieces.slopes(self.cell, facets))

    def _put(self, facets: Tensor, slopes: Tensor) -> None:
        sides = self.cell.sides[facets]
        rows = slopes.double() * sides[:, None]
        # the point itself may be behind a facet by rounding
        least = (-(sides * self.cell.heights[facets]).double()).clamp_max(0)
        at = rows.nonzero()
        starts = torch.searchsorted(at[:, 0].contiguous(), torch.arange(len(facets), device=at.device))
        self.highs.addRows(
            len(facets), _numbers(least), np.full(len(facets), highspy.kHighsInf), len(at), _places(starts),
            _places(at[:, 1]), _numbers(rows[at[:, 0], at[:, 1]]),
        )  # fmt: skip
        self.facets = torch.cat([self.facets, facets])

    def solve(self) -> tuple[Cell, np.ndarray]:
        """The piece, seen from the best point, and (K,) how strongly each facet holds it back."""
        self.highs.run()
        solution = self.highs.getSolution()
        step = torch.from_numpy(np.asarray(solution.col_value, dtype=np.float64)).to(self.cell.x)
        x = torch.minimum(torch.maximum(self.cell.x + step.view_as(self.cell.x), self.low), self.high)
        return self.pieces.within(self.cell, x), np.abs(np.asarray(solution.row_dual, dtype=np.float64))

    def missed(self, found: Cell) -> Tensor:
        """The facets that this point is behind and that are not in the program, the furthest first."""
        behind = -self.cell.sides * found.heights
        behind[self.facets] = 0
        order = behind.argsort(descending=True)
        return order[behind[order] > self.slack]


def _share(cell: Cell, found: Cell) -> float:
    """How much of the way to `found` lies in the piece."""
    before, after = (cell.sides * cell.heights).clamp_min(0), cell.sides * found.heights
    return float((before / (before - after).clamp_min(1e-30))[after < 0].amin())


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()


def _places(values: Tensor) -> np.ndarray:
    return values.cpu().numpy().astype(np.int32)
