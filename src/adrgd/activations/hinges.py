"""Piecewise-linear activations as sums of hinges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from adrgd.activations.blocks import in_blocks
from adrgd.activations.slopes import Factor

Number = float | Tensor


@dataclass(frozen=True)
class PiecewiseLinear:
    """phi(h) = offset + slope * h + sum_k jumps[k] * max(h - breaks[k], 0).

    `slope` is phi's slope far on the left; each break adds its jump. Tensors broadcast against h (PReLU's weights).
    """

    breaks: tuple[float, ...]
    jumps: tuple[Number, ...]
    slope: Number = 0.0
    offset: float = 0.0
    name: str = field(default="hinges", compare=False, kw_only=True)

    @property
    def is_relu(self) -> bool:
        """One break at zero from slope 0 to slope 1."""
        if isinstance(self.slope, Tensor) or isinstance(self.jumps[0], Tensor):
            return False
        return self.slope == 0.0 and self.breaks == (0.0,) and self.jumps == (1.0,)

    @property
    def is_flat(self) -> bool:
        return False

    def value(self, h: Tensor) -> Tensor:
        """phi(h) itself."""
        if self.is_relu:
            return h.clamp_min(0)
        out = self.offset + self.slope * h
        for at, jump in zip(self.breaks, self.jumps, strict=True):
            out = out + jump * (h - at).clamp_min(0)
        return out

    def gated(self, h: Tensor, gates: list[Tensor]) -> Tensor:
        """The same sum with the k-th hinge replaced by gates[k] * (h - breaks[k]): equations 3 and 6."""
        if self.is_relu:
            return gates[0] * h
        out = self.offset + self.slope * h
        for at, jump, gate in zip(self.breaks, self.jumps, gates, strict=True):
            out = out + jump * gate * (h - at)
        return out

    def mix(self, gates: list[Tensor]) -> Tensor:
        """The slope that belongs to gate values in [0, 1]: slope + sum_k jumps[k] * gates[k]."""
        if self.is_relu:
            return gates[0]
        total: Any = self.slope
        for jump, gate in zip(self.jumps, gates, strict=True):
            total = total + jump * gate
        return torch.as_tensor(total)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        """Each hinge's step in the slope becomes sigmoid((h - break) * inverse / left)."""
        if len(self.breaks) > 1 and not any(isinstance(number, Tensor) for number in (self.slope, *self.jumps)):
            return Factor(in_blocks(lambda h, inverse: self._mixed(h, inverse, left), h, inverse))
        return Factor(self._mixed(h, inverse, left))

    def _mixed(self, h: Tensor, inverse: Tensor, left: float) -> Tensor:
        return self.mix([torch.mul(h - at if at else h, inverse).div_(left).sigmoid_() for at in self.breaks])


RELU = PiecewiseLinear((0.0,), (1.0,), name="relu")
RELU6 = PiecewiseLinear((0.0, 6.0), (1.0, -1.0), name="relu6")
ABS = PiecewiseLinear((0.0,), (2.0,), -1.0, name="abs")
HARDSIGMOID = PiecewiseLinear((-3.0, 3.0), (1 / 6, -1 / 6), name="hardsigmoid")
