"""The best point of a whole neighbourhood: a mixed-integer program over the hinges that are undecided in it.

Inside a small box most hinges lie on one side throughout. What is linear then is written out, and each of the others
gets a variable for its side (Tjeng et al. 2019): tens or hundreds of those instead of thousands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import torch
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.bounds.lines import Interval
from adrgd.bounds.network import Network
from adrgd.linear_program import Program


@dataclass(frozen=True, eq=False)
class Expressions:
    """The U undecided hinges of a box and a goal, as linear functions of the n inputs and of the hinges before.

    Attributes:
        low, high: (n,) corners of the box.
        least, most: (U,) bounds of the hinges' pre-activations h.
        rows: (U + 1, n + U) of each h, the goal last; columns are the inputs, then max(0, h) of each.
        offset: (U + 1,).
    """

    low: Tensor
    high: Tensor
    least: Tensor
    most: Tensor
    rows: Tensor
    offset: Tensor

    def heights(self, x: Tensor) -> Tensor:
        """(U,) the pre-activations at x (n,)."""
        n, count = len(x), len(self.least)
        known = torch.cat([x, x.new_zeros(count)])
        found = x.new_zeros(count)
        for k in range(count):
            found[k] = self.rows[k] @ known + self.offset[k]
            known[n + k] = found[k].clamp(min=0)
        return found


@dataclass(frozen=True, eq=False)
class Optimum:
    """What a program came to.

    Attributes:
        x: (n,) the best point found; None if there is none.
        value: the goal there, up to the solver's tolerances.
        bound: what the goal cannot exceed in the box, up to those tolerances.
        pivots: simplex iterations.
    """

    x: Tensor | None
    value: float
    bound: float
    pivots: int


def hinged(network: Network) -> bool:
    """Whether every activation is one hinge at zero, as in ReLU and LeakyReLU."""
    return all(
        isinstance(curve, PiecewiseLinear) and curve.breaks == (0.0,) and not curve.offset and float(curve.jumps[0]) > 0
        for curve in network.curves
    )


def expressions(network: Network, goal: Tensor, low: Tensor, high: Tensor, intervals: list[Interval]) -> Expressions:
    """Write out what is linear in the box from `low` to `high` (n,).

    Args:
        network: `hinged`.
        goal: (outputs,) coefficients of what is to be raised.
        intervals: (1, neurons) bounds of all pre-activations in the box.
    """
    undecided = [((lower < 0) & (upper > 0))[0].nonzero()[:, 0] for lower, upper in intervals]
    n, count = len(low), sum(map(len, undecided))
    basis = torch.cat([low.new_zeros(1, n), torch.eye(n, dtype=low.dtype), low.new_zeros(count, n)])
    found: list[Tensor] = []

    def act(layer: int, h: Tensor) -> Tensor:
        curve, at = network.curves[layer], undecided[layer]
        before = 1 + n + sum(part.shape[1] for part in found)
        found.append(h[:, at])
        over = torch.where(intervals[layer][0] >= 0, h, 0.0)
        over[:, at] = torch.eye(len(h), len(at), dtype=h.dtype).roll(before, 0)

        return float(curve.slope) * h + float(curve.jumps[0]) * over  # type: ignore[union-attr, arg-type]

    with torch.no_grad():
        out = network.walk(basis, act)
    table = torch.cat([*found, (out @ goal)[:, None]], 1)
    least, most = (
        torch.cat([pair[end][0, at] for pair, at in zip(intervals, undecided, strict=True)]) for end in (0, 1)
    )
    return Expressions(low, high, least, most, (table[1:] - table[0]).T.contiguous(), table[0].clone())


def optimum(program: Expressions, start: Tensor, *, nodes: int, enough: float = float("inf")) -> Optimum:
    """Solve a program, as far as a branch and bound of so many nodes goes.

    Args:
        start: (n,) a point in the box to begin with.
        enough: a goal that ends it.
    """
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.silent()
    for name, value in (("threads", 1), ("random_seed", 0), ("mip_rel_gap", 0.0), ("mip_max_nodes", nodes)):
        highs.setOptionValue(name, value)
    if enough < float("inf"):
        highs.setOptionValue("objective_target", enough)
    highs.passModel(_model(program))
    heights = program.heights(start)
    given = highspy.HighsSolution()
    given.col_value = torch.cat([start, heights.clamp(min=0), (heights > 0).to(start)]).tolist()
    highs.setSolution(given)
    highs.run()
    info, found = highs.getInfo(), highs.getSolution()
    pivots = int(info.simplex_iteration_count)
    # without undecided hinges it is a linear program, whose best point is the bound
    bound = float(info.mip_dual_bound if len(program.least) else info.objective_function_value)
    if not found.value_valid:
        return Optimum(None, -float("inf"), bound, pivots)
    x = torch.tensor(found.col_value[: len(start)], dtype=start.dtype)
    x = torch.minimum(torch.maximum(x, program.low), program.high)
    return Optimum(x, float(info.objective_function_value), bound, pivots)


def _model(program: Expressions) -> Any:
    """Columns are the inputs, z = max(0, h) and the side a of each hinge.

    Rows are z >= h, z <= h - least (1 - a) and z <= most a.
    """
    n, count = len(program.low), len(program.least)
    eye = torch.eye(count, dtype=torch.float64)
    above = torch.cat([-program.rows[:-1, :n], eye - program.rows[:-1, n:]], 1)
    table = torch.cat([
        torch.cat([above, torch.zeros_like(eye)], 1),
        torch.cat([above, -torch.diag(program.least)], 1),
        torch.cat([torch.zeros(count, n, dtype=torch.float64), eye, -torch.diag(program.most)], 1),
    ])  # fmt: skip
    infinity = torch.full((count,), torch.inf, dtype=torch.float64)
    zero, one, offset = torch.zeros_like(infinity), torch.ones_like(infinity), program.offset[:-1]
    found = Program(
        matrix=table.numpy(), least=torch.cat([offset, -infinity, -infinity]).numpy(),
        most=torch.cat([infinity, offset - program.least, zero]).numpy(),
        low=torch.cat([program.low, zero, zero]).numpy(), high=torch.cat([program.high, program.most, one]).numpy(),
        whole=np.arange(n + 2 * count) >= n + count,
    )  # fmt: skip
    return found.model(torch.cat([program.rows[-1], zero]).numpy(), float(program.offset[-1]))
