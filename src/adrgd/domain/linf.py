"""A ball in the largest change of a coordinate, which is a box."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adrgd.domain.ball import Ball
from adrgd.domain.box import BoundBox, fit, round_down, round_up
from adrgd.errors import DomainError
from adrgd.rows import column


@dataclass(frozen=True)
class LinfBall(Ball):
    """|x - centre| <= eps in every coordinate, cut by `box` when one is given.

    eps is a number, (B,), or a tensor of more dimensions that broadcasts to x (B, ...): one a channel, a pixel or a
    coordinate, with 0 where nothing may change.
    """

    def bind(self, x: Tensor) -> BoundBox:
        each = isinstance(self.eps, Tensor) and self.eps.dim() > 1
        centre, eps, box = (replace(self, eps=1.0) if each else self).fitted(x)
        exact, reach = centre.double(), fit(self.eps, x, "eps") if each else column(eps, x)
        if each and not ((reach >= 0).all() and (reach > 0).flatten(1).any(1).all()):
            raise DomainError(
                f"eps must be 0 or more, and above 0 somewhere in each row, found {reach.min().item():g} to "
                f"{reach.max().item():g}; correct it"
            )
        low, high = round_up(exact - reach, x.dtype), round_down(exact + reach, x.dtype)
        # centre -+ eps was itself rounded: step inwards where the distance, evaluated again, is more than eps
        low = torch.where(exact - low.double() > reach, torch.nextafter(low, torch.full_like(low, torch.inf)), low)
        high = torch.where(
            high.double() - exact > reach, torch.nextafter(high, torch.full_like(high, -torch.inf)), high
        )
        if box is not None:
            low, high = torch.maximum(low, box.low), torch.minimum(high, box.high)
        return BoundBox(low, high, reach.to(x).expand_as(x))
