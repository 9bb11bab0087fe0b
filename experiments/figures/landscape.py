"""Random 2-D networks: their landscapes on a grid, the runs of the solvers from the middle, and one to be drawn.

All solvers take the same normalised steps, so that only their gates differ. Of the networks that ADR-GD and
GraduatedADR solve and GD does not, the one is drawn where GD falls short the most after having left the start.
"""

from __future__ import annotations

from dataclasses import dataclass

import paths  # noqa: F401  # lets nets be imported
import torch
from nets import Nets
from torch import Tensor
from watch import gates_under

from adrgd import Box, Normalised
from adrgd.watch import Trajectory, follow

DRAWN, WIDTHS, STEPS = 200, (2, 32, 32, 1), 100
CLOSE = 0.02  # a run has found the maximum when it is within this share of the network's range
FAR = 0.25  # GD has left the start when it has come this far
STEP = Normalised(length=0.1, schedule="linear")
SOLVERS = gates_under(STEP)


@dataclass(frozen=True)
class Landscape:
    """The network to be drawn, its runs (`row` of each path), and the count of maxima found over all networks."""

    net: Nets
    runs: dict[str, Trajectory]
    row: int
    found: dict[str, int]
    peak: Tensor


def grid(low: tuple[float, float], high: tuple[float, float], points: int) -> Tensor:
    """(points^2, 2) points of a rectangle, the second coordinate in the outer loop, as images have it."""
    across, up = (torch.linspace(a, b, points, dtype=torch.float64) for a, b in zip(low, high, strict=True))
    return torch.cartesian_prod(up, across).flip(1)


def single(seed: int) -> Nets:
    return Nets(WIDTHS, [seed], torch.float64)


def find(points: int = 151) -> Landscape:
    """Draw the networks, run the solvers on all of them, and choose as described above."""
    nets = Nets(WIDTHS, range(DRAWN), torch.float64)
    where = grid((-1, -1), (1, 1), points)
    everywhere = torch.zeros(len(where), dtype=torch.int64)
    with torch.no_grad():
        values = torch.stack([single(seed)(where, everywhere) for seed in nets.seeds])
    x0 = torch.zeros(DRAWN, 2, dtype=torch.float64)
    runs = {name: follow(nets, x0, Box(-1, 1), solver, STEPS) for name, solver in SOLVERS.items()}
    top = torch.stack([values.amax(1), *(run.solution.value for run in runs.values())]).amax(0)
    short = {name: (top - run.solution.value) / (top - values.amin(1)) for name, run in runs.items()}
    success = {name: gap < CLOSE for name, gap in short.items()}
    told = success["ADR-GD"] & success["GraduatedADR"] & (runs["GD"].points[-1].norm(dim=1) > FAR)
    row = int(torch.where(told, short["GD"], -1.0).argmax())
    found = {name: int(reached.sum()) for name, reached in success.items()}
    return Landscape(single(nets.seeds[row]), runs, row, found, where[values[row].argmax()])
