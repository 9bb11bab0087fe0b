"""The nearest point of a decision boundary that is taken for a plane, again and again (as DeepFool and FAB do).

At a point the lead of the wanted class is linearised; where that plane comes nearest to the clean image, in the norm
and inside what may change, the next linearisation is made. On a linear network the first is the answer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.rows import column

HALVINGS = 30  # of how long a change has to be; they cost no passes
BEYOND = 1e-3  # how far past the plane a point is put: what lies on it is not broken clearly
MIXED = 0.5  # how far from the best point towards the plane's, after a point that is not broken


class Reached(NamedTuple):
    """The nearest broken points (N, ...) and their distances (N,), infinite where nothing was broken."""

    x: Tensor
    distance: Tensor


def follow(case: Case, rows: Tensor, x: Tensor, longest: float, steps: int) -> Reached:
    """Follow the boundary from points x (N, ...) of these images; a forward and a backward pass a step.

    Args:
        longest: change that there can be.
    """
    clean = case.clean[rows]
    best, least = x.clone(), torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
    for step in range(steps):
        value, gradient, broken = _lead(case, rows, x)
        size = case.threat.distance(x, clean)
        nearer = broken & (size < least)
        best, least = torch.where(column(nearer, x), x, best), torch.where(nearer, size, least)
        if step == steps - 1:
            break
        wanted = _gain(gradient, x - clean) - value.double()  # of a change of the clean image, on the plane
        there = _onto(case, clean, gradient, wanted + BEYOND * wanted.abs(), longest)
        near = torch.where(column(broken | least.isinf(), x), there, torch.lerp(best, there, MIXED))
        x = torch.where(column((gradient != 0).flatten(1).any(1), x), near, x)
    return Reached(best, least)


def _lead(case: Case, rows: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """By how much what the attack is after leads (N,), its gradient, and whether it leads clearly."""
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = case.answer(x, rows)
        value = case.margin(logits, rows)
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), torch.nan_to_num(gradient), case.clearly_broken(logits.detach(), rows)


def _onto(case: Case, clean: Tensor, gradient: Tensor, wanted: Tensor, longest: float) -> Tensor:
    """The least changes of clean images (N, ...) that gain so much along a gradient, as far as any does."""
    low, high = torch.zeros_like(wanted), torch.full_like(wanted, longest)

    def at(length: Tensor) -> Tensor:
        bound = case.threat.around(clean, length.clamp_min(1e-12)).bind(clean)
        return case.threat.clip(clean + bound.steepest(gradient, clean))

    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = _gain(gradient, at(middle) - clean) >= wanted
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return at(high)


def _gain(gradient: Tensor, change: Tensor) -> Tensor:
    return (gradient.double() * change.double()).flatten(1).sum(1)
