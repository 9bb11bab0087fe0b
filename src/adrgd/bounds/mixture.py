"""Sums of functions: where several are never all zero or less at once, a sum of multiples of them is above zero.

Over a convex relaxation such a sum exists whenever the functions exclude each other there. It is one row more, behind
those that it is made of; its multipliers are moved towards the functions that are large where the sum is least.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adrgd.bounds.backward import Coefficients, Goal
from adrgd.bounds.relaxation import Relaxation, above, below
from adrgd.bounds.slopes import Slopes

SPEED = 8.0  # of the multipliers, in units of the rate at which slopes move
TINY = 1e-300


def even(counts: Tensor) -> Tensor:
    """Multipliers (parts, rows) to begin with: the same for each function that counts."""
    shares = counts.to(torch.float64)
    return shares / shares.sum(1, keepdim=True).clamp(min=1.0)


def with_sum(wanted: Goal, weights: Tensor) -> Goal:
    """The functions, and behind them their sum with these multipliers.

    It is added up in double precision, and rounded once: one of the `margins.FEW` roundings.
    """
    row = weights[:, None]

    def extended(rows: Tensor) -> Tensor:
        return torch.cat([rows, torch.bmm(row, rows.to(torch.float64)).to(rows)], 1)

    offset = torch.cat([wanted.offset, (weights * wanted.offset).sum(1, keepdim=True)], 1)
    return Goal(wanted.stage, {source: extended(part) for source, part in wanted.parts.items()}, offset)


def shifted(
    weights: Tensor, wanted: Goal, vertex: Tensor, met: Sequence[Tensor], relaxations: Sequence[Relaxation],
    slopes: Slopes, coefficients: Coefficients, *, rate: float,
) -> Tensor:  # fmt: skip
    """Better multipliers of the sum, which is the last row.

    Args:
        wanted: the functions without their sum.
        vertex: (parts, rows, inputs) where the bounds are least.
        met: the pre-activations there, as `along_lines` returns them.
    """
    values = wanted.offset
    for source, part in wanted.parts.items():
        reached = vertex[:, -1] if source == 0 else _after(source - 1, met, relaxations, slopes, coefficients)
        values = values + torch.bmm(part.to(reached), reached[:, :, None])[:, :, 0]
    values = values.masked_fill(weights == 0, 0.0)
    apart = torch.where(weights > 0, values - (weights * values).sum(1, keepdim=True), 0.0)
    step = SPEED * rate * apart / apart.abs().amax(1, keepdim=True).clamp(min=TINY)
    heavier = (weights * step.exp()).clamp(min=1e-12) * (weights > 0)
    return heavier / heavier.sum(1, keepdim=True).clamp(min=TINY)


def _after(
    layer: int, met: Sequence[Tensor], relaxations: Sequence[Relaxation], slopes: Slopes, coefficients: Coefficients
) -> Tensor:
    """What the lines in use for the last row make of a layer's pre-activations: (parts, neurons)."""
    relaxation, h = relaxations[layer], met[layer][:, -1]
    low = below(relaxation, slopes[layer][:, -1] if layer in slopes else relaxation.lower_slope, h)
    rows = coefficients[layer]
    return low if rows is None else torch.where(rows[:, -1] > 0, low, above(relaxation, h))
