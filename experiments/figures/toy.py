"""The toy of Figure 2, searched for among random 1-D networks: three hidden neurons, four segments, GD at a local peak.

A start x lies in the middle of the second segment f2, counted from the left or from the right. The case of the paper's
caption is f1(x) > f3(x) > f4(x), each segment extended as far as x, with GD held at a peak inside the interval. Among
the cases that GraduatedADR and ADR-GD in its released settings solve, the one whose four values at x lie furthest apart
is shown: it is the most legible. `Toy.reached` counts all cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import paths  # noqa: F401  # lets nets be imported
import torch
from nets import Nets
from torch import Tensor
from watch import gates_under

from adrgd import Box, Normalised
from adrgd.surrogate import gated, hinge_values, true_pattern
from adrgd.watch import Trajectory, follow

DRAWN, WIDTHS, STEPS = 40_000, (1, 3, 1), 100
STEP = Normalised(length=0.25, schedule="linear")  # the first is an eighth of the interval
SOLVERS = gates_under(STEP)


@dataclass(frozen=True)
class Toy:
    """One network and start, the runs from it, and how often its kind occurs.

    Attributes:
        edges: (5,) the ends of f1, f2, f3, f4 in this order.
        at_x: f1(x), f2(x), f3(x), f4(x).
        cases: how many starts of this kind were found; `reached`: in how many of them a solver found the maximum.
    """

    net: Nets
    start: float
    edges: Tensor
    at_x: list[float]
    runs: dict[str, Trajectory]
    row: int
    cases: int
    reached: dict[str, int]

    def value(self, edge: int) -> float:
        """The network at one of the segments' ends."""
        return float(self.net(self.edges[edge].view(1, 1), torch.zeros(1, dtype=torch.int64)))


def four_segments() -> tuple[Nets, Tensor]:
    """The drawn networks whose four segments each take an eighth of [-1, 1] or more, and the segments' ends."""
    nets = Nets(WIDTHS, range(DRAWN), torch.float64)
    kinks = (-nets.layers[0].bias / nets.layers[0].weight[:, :, 0]).sort(1).values
    ends = torch.ones(len(nets), 1, dtype=torch.float64)
    edges = torch.cat([-ends, kinks, ends], 1)
    keep = (edges.diff(dim=1) > 0.25).all(1)
    return Nets(WIDTHS, keep.nonzero()[:, 0].tolist(), torch.float64), edges[keep]


def find() -> Toy:
    """Draw, run every solver from every start, and choose as described above."""
    nets, edges = four_segments()
    edges = torch.cat([edges, edges.flip(1)])  # once counted from the left, once from the right
    rows = torch.arange(len(edges))
    middles = (edges[:, :-1] + edges[:, 1:]) / 2
    x = middles[:, 1:2]

    def value(points: Tensor) -> Tensor:
        return nets(points, rows)

    at_x = torch.stack(
        [gated(value, x, true_pattern(hinge_values(value, middles[:, k : k + 1])[1]))[0] for k in range(4)], 1
    )
    ends = torch.stack([value(edges[:, k : k + 1]) for k in range(5)], 1)  # the extremes of a piecewise-linear function
    top, low = ends.amax(1), ends.amin(1)
    runs = {name: follow(nets, x, Box(-1, 1), solver, STEPS, keep_states=True) for name, solver in SOLVERS.items()}
    success = {name: top - run.solution.value < 0.02 * (top - low) for name, run in runs.items()}
    end = runs["GD"].points[-1]
    beside = torch.maximum(value((end - 0.05).clamp_min(-1)), value((end + 0.05).clamp_max(1)))
    peak = (beside < value(end)) & (end.abs() < 0.99)[:, 0]
    case = ~success["GD"] & peak & (at_x[:, 0] > at_x[:, 2]) & (at_x[:, 2] > at_x[:, 3])
    apart = at_x.sort(1).values.diff(dim=1).amin(1) / (top - low)
    told = case & success["ADR-GD, released settings"] & success["GraduatedADR"]
    row = int(torch.where(told, apart, -1.0).argmax())
    return Toy(
        Nets(WIDTHS, [nets.seeds[row % len(nets)]], torch.float64), float(x[row]), edges[row], at_x[row].tolist(), runs,
        row, int(case.sum()), {name: int((case & found).sum()) for name, found in success.items()},
    )  # fmt: skip
