"""Check what describes a box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adrgd.errors import DomainError

Corner = Tensor | Sequence[float] | float


def corners(lower: Corner, upper: Corner, inputs: int) -> tuple[Tensor, Tensor]:
    """The two corners as float64 vectors; a single number stands for every coordinate."""
    low, high = _corner("lower", lower, inputs), _corner("upper", upper, inputs)
    empty = low > high
    if empty.any():
        axis = int(empty.nonzero()[0])
        raise DomainError(
            f"the box must have lower <= upper, found {float(low[axis])} > {float(high[axis])} for input {axis}; "
            "exchange the two corners"
        )
    return low, high


def start_points(start: Tensor | Sequence[Sequence[float]], lower: Tensor, upper: Tensor) -> Tensor:
    """Starting points (K, inputs) or one (inputs,) in float64, moved into the box."""
    points = torch.as_tensor(start, dtype=torch.float64, device="cpu").detach()
    if points.ndim == 1:
        points = points[None]
    if points.ndim != 2 or points.shape[1] != lower.shape[0]:
        raise DomainError(
            f"starting points of shape (K, {lower.shape[0]}) were expected, found {tuple(points.shape)}; "
            "flatten each point to one row"
        )
    if not points.isfinite().all():
        raise DomainError("starting points must be finite, found infinite or undefined numbers; leave those points out")
    inside: Tensor = points.clamp(lower, upper)
    return inside


def _corner(name: str, corner: Corner, inputs: int) -> Tensor:
    vector = torch.as_tensor(corner, dtype=torch.float64, device="cpu").detach()
    if vector.ndim == 0:
        vector = vector.expand(inputs)
    if vector.shape != (inputs,):
        raise DomainError(
            f"the {name} corner needs one number for each of the {inputs} inputs, found shape {tuple(vector.shape)}; "
            "pass a flat vector of that length or a single number"
        )
    if not vector.isfinite().all():
        raise DomainError(
            f"the {name} corner must be finite, found infinite or undefined numbers; give every input finite bounds"
        )
    return vector.clone()
