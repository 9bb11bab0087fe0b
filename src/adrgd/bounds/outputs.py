"""Bounds of a network's outputs over one box, in one go."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, LinearBound, goal
from adrgd.bounds.margins import Margins
from adrgd.bounds.network import Network
from adrgd.bounds.refine import all_intervals
from adrgd.bounds.relaxation import relax
from adrgd.bounds.slopes import tighten


def bound_outputs(network: Network, box: Boxes, rows: Tensor, *, steps: int = 0) -> LinearBound:
    """Lower bounds of linear functions of the outputs, rows (1, functions, outputs), with what rounding is worth off.

    Args:
        steps: of the lower slopes.
    """
    intervals = all_intervals(network, network, box)
    relaxations = [relax(*part) for part in zip(network.curves, *zip(*intervals, strict=True), strict=True)]
    margins = Margins(network, box.lower, box.upper).extend(intervals)
    offset = torch.zeros(rows.shape[:2], dtype=torch.float64)
    wanted = goal(network, len(network.sizes), rows, offset, None, margins)
    return tighten(network, wanted, relaxations, box, steps=steps, margins=margins)[0]
