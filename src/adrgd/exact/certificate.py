"""What the exact solver returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Certificate:
    """A point, and a bound that no point of the box exceeds.

    Attributes:
        point: the best point found, (inputs,) float64, inside the box.
        value: the network there, evaluated in float64.
        upper_bound: no point of the box has a larger value.
        gap: `(upper_bound - value) / |value|`; infinite if the value is zero and the bound is not.
        nodes: number of boxes bounded.
        open_nodes: number of boxes that still had to be searched.
        seconds: wall-clock time.
        proven: whether the bound is within one of the tolerances asked for.
        status: one sentence on how the search ended.
    """

    point: Tensor
    value: float
    upper_bound: float
    gap: float
    nodes: int
    open_nodes: int
    seconds: float
    proven: bool
    status: str
