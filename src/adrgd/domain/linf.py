"""A ball in the largest change of a coordinate, which is a box."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.domain.ball import Ball
from adrgd.domain.box import BoundBox, round_down, round_up
from adrgd.rows import column


@dataclass(frozen=True)
class LinfBall(Ball):
    """|x - centre| <= eps in every coordinate, cut by `box` when one is given; eps is a number or (B,)."""

    def bind(self, x: Tensor) -> BoundBox:
        centre, eps, box = self.fitted(x)
        exact, reach = centre.double(), column(eps, x)
        low, high = round_up(exact - reach, x.dtype), round_down(exact + reach, x.dtype)
        # centre -+ eps was itself rounded: step inwards where the distance, evaluated again, is more than eps
        low = torch.where(exact - low.double() > reach, torch.nextafter(low, torch.full_like(low, torch.inf)), low)
        high = torch.where(
            high.double() - exact > reach, torch.nextafter(high, torch.full_like(high, -torch.inf)), high
        )
        if box is not None:
            low, high = torch.maximum(low, box.low), torch.minimum(high, box.high)
        return BoundBox(low, high, column(eps, x).to(x).expand_as(x))
