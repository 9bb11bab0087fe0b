"""Are a model's gradients of any use to an attack? Three passes an image tell before anything is attacked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.rows import RowRandom

STRIDES = (0.01, 0.1, 0.5)  # of the radius


@dataclass(frozen=True)
class Usefulness:
    """(B,) each, for images that are not broken to begin with.

    Attributes:
        standing: whether the image is one of those.
        zero: at the image and at a random point of its ball, the loss's gradient is exactly zero, or so small that no
            step along it changes the loss.
        misleading: it is not, and yet no step along it, short or long, raises the loss.
    """

    standing: Tensor
    zero: Tensor
    misleading: Tensor


def usefulness(case: Case, *, seed: int = 0) -> Usefulness:
    """Look at the gradients around a batch of clean images."""
    domain = case.threat.around(case.clean).bind(case.clean)
    random = domain.sample(RowRandom.seeded(seed, case.index.to(case.clean.device)), "gradients")
    everyone = torch.arange(len(case.clean), device=case.clean.device)
    standing = ~case.broken(case.logits.argmax(1))
    zero, rises = torch.ones_like(standing), torch.zeros_like(standing)
    for start in (case.clean, random):
        x = start.detach().clone().requires_grad_(True)
        loss = case.loss(case.answer(x, everyone), case.goal)
        gradient = torch.zeros_like(x)
        if loss.requires_grad:
            (found,) = torch.autograd.grad(loss.sum(), [x], allow_unused=True)
            gradient = gradient if found is None else found
        with torch.no_grad():
            for stride in STRIDES:
                moved = domain.project(start + stride * domain.steepest(gradient, start))
                after = case.loss(case.answer(moved, everyone), case.goal)
                rises |= after > loss
                zero &= after == loss
    return Usefulness(standing, zero & standing, ~zero & ~rises & standing)
