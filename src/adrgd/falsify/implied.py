"""Bounds of inputs that a file states only by comparing inputs with each other, as X_0 <= X_1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from adrgd.falsify.formula import Atom

Corners = dict[int, tuple[float, float]]
"""Lower and upper bound of the inputs that have any."""

OPEN = (-math.inf, math.inf)
SWEEPS = 100


def open_sides(corners: Corners, inputs: int) -> bool:
    """Whether some input lacks a side."""
    return not all(math.isfinite(end) for at in range(inputs) for end in corners.get(at, OPEN))


def implied(corners: Corners, rows: Sequence[Atom], inputs: int) -> Corners:
    """The corners, with sides that follow from the rows where there were none.

    The rows stay what they are, so that a side may be wider than it has to be.
    """
    if not open_sides(corners, inputs):
        return corners
    between = [row for row in rows if min(row.weights) >= 0]
    found = dict(corners)
    for _ in range(SWEEPS):
        before = dict(found)
        for row in between:
            for at, weight in row.weights.items():
                limit = _limit(row, at, found)
                low, high = found.get(at, OPEN)
                if weight > 0 and high == math.inf:
                    found[at] = (low, limit)
                elif weight < 0 and low == -math.inf:
                    found[at] = (limit, high)
        if found == before:
            break
    return found


def _limit(row: Atom, at: int, corners: Corners) -> float:
    """The side that weights @ x <= bound means for one of the inputs, as all others are in their box."""
    weight = row.weights[at]
    ends = {
        other: corners.get(other, OPEN)[0 if factor > 0 else 1] for other, factor in row.weights.items() if other != at
    }
    if len(ends) == 1 and not row.bound:
        ((other, end),) = ends.items()
        if row.weights[other] == -weight:  # one at most, or at least, the other: all digits of its side are kept
            return end
    rest = sum(row.weights[other] * end for other, end in ends.items())
    if not math.isfinite(rest):
        return math.inf if weight > 0 else -math.inf
    size = abs(row.bound) + sum(abs(row.weights[other] * end) for other, end in ends.items())
    room = 4 * (len(ends) + 2) * 2.0**-53 * size  # of all roundings here
    limit = (row.bound - rest + room) / weight
    return math.nextafter(limit, math.inf if weight > 0 else -math.inf)
