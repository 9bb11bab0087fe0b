"""Good points before and during the search: gradient ascent of many points at once inside the box."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from adrgd.exact.affine import Mlp

_RANDOM_POINTS = 512
_FINALISTS = 16


def search(mlp: Mlp, lower: Tensor, upper: Tensor, *, start: Tensor | None, stop: Callable[[], bool]) -> Tensor:
    """The best point found from random points of the box and the given ones (K, inputs): shape (inputs,)."""
    generator = torch.Generator().manual_seed(0)
    shape = (_RANDOM_POINTS, lower.shape[0])
    points = lower + (upper - lower) * torch.rand(shape, dtype=lower.dtype, generator=generator)
    points = points.clamp(lower, upper)
    if start is not None:
        points = torch.cat([start, points])
    points, values = climb(mlp, points, lower, upper, first_step=0.25, last_step=1e-3, steps=80, stop=stop)
    finalists = points[values.topk(min(_FINALISTS, values.shape[0])).indices]
    return polish(mlp, finalists, lower, upper, stop=stop)


def polish(mlp: Mlp, points: Tensor, lower: Tensor, upper: Tensor, *, stop: Callable[[], bool]) -> Tensor:
    """Climb with small steps and return the best point: (K, inputs) -> (inputs,)."""
    points, values = climb(mlp, points, lower, upper, first_step=0.02, last_step=1e-7, steps=160, stop=stop)
    return points[values.argmax()]


def climb(
    mlp: Mlp,
    points: Tensor,
    lower: Tensor,
    upper: Tensor,
    *,
    first_step: float,
    last_step: float,
    steps: int,
    stop: Callable[[], bool],
) -> tuple[Tensor, Tensor]:
    """Projected gradient ascent with steps that shrink geometrically; the best point of each row and its value.

    A step moves the coordinate with the largest scaled slope by the given fraction of its width. At a kink, where a
    gradient step can only zigzag, the shrinking steps settle on it.
    """
    width = upper - lower
    shrink = math.exp(math.log(last_step / first_step) / max(1, steps - 1))
    best, best_values = points, torch.full((points.shape[0],), -math.inf, dtype=points.dtype)
    step = first_step
    for _ in range(steps):
        values, gradient = value_and_gradient(mlp, points)
        better = values > best_values
        best_values = torch.where(better, values, best_values)
        best = torch.where(better[:, None], points, best)
        if stop():
            break
        direction = gradient * width
        direction = direction / direction.abs().amax(1, keepdim=True).clamp(min=1e-300)
        points = (points + step * width * direction).clamp(lower, upper)
        step *= shrink
    return best, best_values


def value_and_gradient(mlp: Mlp, points: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N,) of a scalar network and its gradients (N, inputs); a neuron at zero counts as inactive."""
    signs = []
    for weight, bias in zip(mlp.weights[:-1], mlp.biases[:-1], strict=True):
        points = torch.addmm(bias, points, weight.T)
        signs.append(points > 0)
        points = points.relu()
    values = (points @ mlp.weights[-1].T + mlp.biases[-1]).squeeze(1)
    gradient = mlp.weights[-1].expand(points.shape[0], -1)
    for sign, weight in zip(reversed(signs), reversed(mlp.weights[:-1]), strict=True):
        gradient = (gradient * sign) @ weight
    return values, gradient
