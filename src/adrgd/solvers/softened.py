"""Backpropagation through softened activations: true values forwards, other slopes backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from adrgd.activations import Slope
from adrgd.gates import Call, Gates, Picked
from adrgd.objective import Score
from adrgd.solvers.solver import Problem


def softened(problem: Problem, x: Tensor, layers: Picked, slope: Callable[[Call], Slope]) -> tuple[Score, Tensor]:
    """The true score at x, and the gradient that results when `slope` stands in for phi' in these layers."""

    def soften(call: Call) -> Any:
        with torch.no_grad():
            softer = slope(call)
        return call.with_slope(softer)

    x = x.detach().requires_grad_(True)
    with Gates(soften, layers):
        score = problem.score(x)
    (gradient,) = problem.gradient(score.value, [x])
    return Score(score.value.detach(), score.reached), gradient
