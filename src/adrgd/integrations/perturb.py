"""What the adapters share: one batch, its labels or targets, and a size of perturbation that may be zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.attacks.evaluate import Attack, attack_batch
from adrgd.attacks.standard import Standard, find_attacker
from adrgd.attacks.threat import Norm, Threat
from adrgd.errors import DataError, ModelError, UsageError
from adrgd.solvers import Solver


@dataclass(frozen=True, kw_only=True)
class Method:
    """How to attack, whatever the model and the perturbations are.

    Attributes:
        solver: "standard", a name from `adrgd list`, or a solver.
        steps, restarts, loss, seed, stop_at_success: as in `adrgd.attacks.Attack`.
    """

    solver: str | Solver | Standard = "graduated"
    steps: int = 100
    restarts: int = 1
    loss: str = "cross-entropy"
    seed: int = 0
    stop_at_success: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.restarts < 1:
            raise UsageError(f"steps and restarts must be at least 1, found {self.steps} and {self.restarts}")
        self.attack(Threat())

    def attack(self, threat: Threat) -> Attack:
        """The attack under that threat.

        Raises:
            UsageError: unknown solver or loss.
        """
        solver = find_attacker(self.solver) if isinstance(self.solver, str) else self.solver
        return Attack(
            threat=threat, solver=solver, steps=self.steps, restarts=self.restarts, loss=self.loss, seed=self.seed,
            stop_at_success=self.stop_at_success,
        )  # fmt: skip


def perturb(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    method: Method,
    *,
    eps: float,
    norm: Norm,
    bounds: tuple[float, float] | None,
    targeted: bool,
    first: int = 0,
) -> Tensor:
    """Attack images (B, ...), and return what was found (B, ...), detached.

    Args:
        model: returns logits (B, C).
        labels: (B,) classes to leave, or to reach when `targeted`.
        eps: the largest perturbation; zero leaves the images as they are.
        bounds: the range of valid inputs; None for no bounds.
        first: the position of the first image in its data set, on which the random numbers depend.

    Raises:
        UsageError, DataError, ModelError: settings, images, labels or logits that cannot be attacked.
    """
    images = images.detach()
    if labels.shape != (len(images),) or labels.is_floating_point():
        raise DataError(
            f"expected one integer label for each of {len(images)} images, found {labels.dtype} of shape "
            f"{tuple(labels.shape)}; correct the labels"
        )
    labels = labels.detach().to(images.device, torch.int64)
    if eps == 0 or not len(images):
        return images.clone()
    lower, upper = bounds or (float(images.min()) - 2 * eps, float(images.max()) + 2 * eps)  # out of every ball's reach
    threat = Threat(norm=norm, eps=eps, lower=lower, upper=upper, target="next" if targeted else None)
    if targeted:
        labels = _class_before(labels, _classes(model, images))
    index = torch.arange(first, first + len(images))
    return attack_batch(model, images, labels, method.attack(threat), index=index).adversarial.detach()


def _class_before(targets: Tensor, classes: int) -> Tensor:
    """The labels whose next class is the target: this is how a `Threat` is given a target for each image."""
    if not (0 <= int(targets.min()) and int(targets.max()) < classes):
        raise DataError(
            f"targets must lie between 0 and {classes - 1} for a model of {classes} classes, found "
            f"{int(targets.min())} to {int(targets.max())}; correct them"
        )
    return (targets - 1) % classes


def _classes(model: Callable[[Tensor], Tensor], images: Tensor) -> int:
    with torch.no_grad():
        logits = model(images[:1])
    if logits.dim() != 2:
        raise ModelError(f"the model must return logits of shape (B, classes), found {tuple(logits.shape)}")
    return int(logits.shape[1])
