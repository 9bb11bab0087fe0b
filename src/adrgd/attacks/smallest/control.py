"""Runs whose ball follows what they find (norm control, as DDN and FMN have it), under the gates of any solver.

A broken point makes the ball a little smaller than its own distance, one that is not makes it a little larger; both by
less and less. So a run that begins at the clean image comes upon the boundary from inside, where short changes are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.rows import RowRandom
from adrgd.solvers.solver import GateRule, Objective, Problem
from adrgd.solvers.steps import Euclidean

STEP = Euclidean(length=2.0)
FIRST, LAST = 0.05, 0.001  # share by which a radius changes, at the beginning and at the end
NEAR = 0.2  # of that share: how far below the best distance a radius stays that grows


class Passes(NamedTuple):
    """Forward and backward passes that each row has taken."""

    forwards: int
    backwards: int


def control(
    case: Case,
    rows: Tensor,
    objective: Objective,
    x: Tensor,
    best: Tensor,
    keep: Callable[[Tensor, Tensor], Tensor],
    *,
    gates: GateRule,
    steps: int,
    random: RowRandom,
    fresh: bool,
) -> Passes:
    """One run of each of the images at `rows` (N,).

    Args:
        objective: of points of these images, reached where they are broken.
        x: (N, ...) where each begins.
        best: (N,) the distance of the nearest broken point known, which is finite.
        keep: told of points (N, ...) and which of them are broken (N,); returns the best distances since.
        fresh: the gates' noise is drawn for each row, as that of restarts.
    """
    clean, eps, counted = case.clean[rows], best, case.threat.norm == "l0"

    def around(eps: Tensor) -> Problem:
        problem.domain = case.threat.around(clean, eps).bind(clean)
        return problem

    everyone = torch.arange(len(rows), device=x.device)
    problem = Problem(
        objective=objective, takes_rows=True, domain=case.threat.around(clean, eps).bind(clean), rows=everyone,
        restart=torch.full_like(everyone, int(fresh)), random=random, steps=steps,
    )  # fmt: skip
    state = gates.start(problem, x)
    for t in range(steps):
        score, gradient, state, _ = gates.evaluate(problem, x, state, t)
        best = keep(x, score.reached)
        share = LAST + (FIRST - LAST) * (1 - t / steps)
        eps = next_radius(eps, best, case.threat.distance(x, clean), score.reached, share, counted)
        x, _ = STEP.move(around(eps), x, torch.nan_to_num(gradient), None, t)
        x = problem.domain.project(x.detach())
    with torch.no_grad():
        keep(x, problem.score(x).reached)
    return Passes(problem.forwards, problem.backwards)


def next_radius(eps: Tensor, best: Tensor, size: Tensor, broken: Tensor, share: float, counted: bool) -> Tensor:
    """(N,) the next radii; `size` (N,) are the distances of the points that are broken or not."""
    smaller, larger = eps * (1 - share), eps * (1 + share)
    if not counted:
        down, up = torch.minimum(size, best) * (1 - share), torch.minimum(larger, best * (1 - NEAR * share))
        return torch.where(broken, down, up).clamp_min(1e-9)
    down = torch.minimum(torch.minimum(size, best) - 1, smaller.floor())
    up = torch.minimum(torch.maximum(eps + 1, larger.floor()), best - 1)
    return torch.where(broken, down, up).clamp_min(1)
