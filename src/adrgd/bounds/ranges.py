"""Interval arithmetic: what a stage makes of the intervals of its sources."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes
from adrgd.bounds.lines import Interval
from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import image


def affine_range(network: Network, stage: int, box: Boxes, found: list[Interval]) -> Interval:
    """What an affine map makes of intervals: its value at their middles, and absolute values times their radii."""
    ends = [image(curve, *pair) for curve, pair in zip(network.curves, found, strict=False)]

    def middle(layer: int, h: Tensor) -> Tensor:
        return (ends[layer][0] + ends[layer][1]) / 2

    def radius(layer: int, h: Tensor) -> Tensor:
        return torch.cat([(ends[layer][1] - ends[layer][0]) / 2, torch.zeros_like(ends[layer][0])])

    centre = network.walk(box.centre, middle, stage)
    both = network.reach(torch.cat([box.radius, torch.zeros_like(box.radius)]), radius, stage)
    reach = both[:1] - both[1:]
    return centre - reach, centre + reach
