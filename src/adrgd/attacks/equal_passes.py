"""How many iterations of a solver a number of passes pays for: it is tried on a network of a few neurons."""

from __future__ import annotations

from bisect import bisect_right

import torch
from torch import nn

from adrgd.domain import Box
from adrgd.maximize import maximize
from adrgd.objective import Output
from adrgd.solvers import Solver


def steps_within(solver: Solver, passes: int) -> int:
    """The most iterations whose forward and backward passes are at most `passes`; at least one."""
    layers = [part for _ in range(3) for part in (nn.Linear(2, 2), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Linear(2, 1)).requires_grad_(False)

    def cost(steps: int) -> int:
        found = maximize(Output(net), torch.zeros(1, 2), domain=Box(-1.0, 1.0), solver=solver, steps=steps, check=False)
        return int(found.forwards + found.backwards)

    return max(1, bisect_right(range(1, passes), passes, key=cost))
