"""Products of pairs of numbers as one layer, between two planes (McCormick 1976).

Over a box with middles a', b' and radii r, s, the product ab is within rs of the plane a'b + b'a - a'b'; no plane is
closer to it above, and none below.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDED = 1e-13  # relative to the numbers that meet


@dataclass(frozen=True)
class Product:
    """The first half of a layer's numbers times the second half; behind these products as many zeros."""

    name: str = "product"

    def value(self, h: Tensor) -> Tensor:
        """Of pre-activations (..., 2 n)."""
        first, second = h.chunk(2, -1)
        return with_zeros(first * second)


PRODUCT = Product()


def with_zeros(values: Tensor) -> Tensor:
    """(..., n) of the products, and zeros for the other half of the layer."""
    return F.pad(values, (0, values.shape[-1]))


def across(slope: Tensor | None, h: Tensor) -> Tensor | float:
    """What the second factors of pairs add to lines with these slopes (..., n); nothing for other layers."""
    return 0.0 if slope is None else with_zeros(slope * h[..., slope.shape[-1] :])


def planes(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Slopes of the first and of the second factors, and the offsets of the planes below and above: (boxes, n) each.

    Where an end is not finite, the planes are flat and at infinity.
    """
    (a, b), (r, s) = ((upper + lower) / 2).chunk(2, -1), ((upper - lower) / 2).chunk(2, -1)
    known = (a.isfinite() & b.isfinite()) & (r.isfinite() & s.isfinite())
    reach = torch.maximum(lower.abs(), upper.abs())
    first, second = reach.chunk(2, -1)
    room = r * s + ROUNDED * (1 + first * second)
    return (
        torch.where(known, b, 0.0), torch.where(known, a, 0.0), torch.where(known, -a * b - room, -torch.inf),
        torch.where(known, room - a * b, torch.inf),
    )  # fmt: skip


def products(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest products of numbers in intervals (boxes, 2 n), zeros behind them."""
    (a, b), (c, d) = lower.chunk(2, -1), upper.chunk(2, -1)
    corners = torch.stack([a * b, a * d, c * b, c * d])
    slack = ROUNDED * (1 + corners.abs().amax(0))
    low, high = corners.amin(0) - slack, corners.amax(0) + slack
    return with_zeros(low.nan_to_num(-torch.inf, torch.inf, -torch.inf)), with_zeros(
        high.nan_to_num(torch.inf, torch.inf, -torch.inf)
    )


def factors(lower: Tensor, upper: Tensor) -> Tensor:
    """How steep products are in each of their factors, at most: (boxes, 2 n)."""
    first, second = torch.maximum(lower.abs(), upper.abs()).chunk(2, -1)
    return torch.cat([second, first], -1)
