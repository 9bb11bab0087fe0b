"""The mean slope of any function under Gaussian noise, by brute force: what each closed form is measured against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

REACH = 9.0  # deviations of the noise; what lies beyond has the probability 2e-19
NODES = 10  # a cell


def by_quadrature(
    function: Callable[[Tensor], Tensor], h: Tensor, s: Tensor, kinks: Sequence[float] = (), scale: float = 1.0
) -> Tensor:
    """E[function'(h + s xi)], xi ~ N(0, 1), in float64, to about nine digits.

    Gauss-Legendre in cells that are narrow against the noise and against what the function does around zero.

    Args:
        h, s: (n,) points and deviations.
        kinks: where the slope, or the function itself, jumps; cells end there.
        scale: how far from zero the function does what it does; beyond 40 times that it is smooth.
    """
    h, s = h.double()[:, None], s.double()[:, None]
    near = torch.logspace(-4, math.log10(40.0), 60, dtype=torch.float64) * scale
    fixed = torch.cat([near, -near, torch.tensor([0.0, *kinks], dtype=torch.float64)])
    edges = torch.cat([fixed.expand(len(h), -1), h + s * torch.linspace(-REACH, REACH, 49, dtype=torch.float64)], 1)
    edges = torch.minimum(torch.maximum(edges, h - REACH * s), h + REACH * s).sort(1).values
    nodes, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(NODES))
    low, half = edges[:, :-1, None], edges.diff(dim=1)[:, :, None] / 2
    points = (low + half * (1 + nodes)).requires_grad_(True)
    values = function(points)
    slope = torch.autograd.grad(values.sum(), points)[0] if values.requires_grad else torch.zeros_like(points)
    density = torch.exp(-(((points.detach() - h[:, None]) / s[:, None]) ** 2) / 2) / (
        s[:, None] * math.sqrt(2 * math.pi)
    )
    mean = (slope * density * half * weights).sum((1, 2))
    for at in kinks:
        sides = torch.tensor([math.nextafter(at, -math.inf), math.nextafter(at, math.inf)], dtype=torch.float64)
        before, after = function(sides)
        jump = (after - before).item()
        if abs(jump) > 1e-9:
            mean += jump * _density(torch.full_like(h, at), h, s)[:, 0]
    return mean


def _density(at: Tensor, h: Tensor, s: Tensor) -> Tensor:
    return torch.exp(-(((at - h) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
