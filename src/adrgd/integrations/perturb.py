"""What the adapters share: one batch, its labels or targets, and a size of perturbation that may be zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.attacks.ensemble.standard import Standard, find_attacker
from adrgd.attacks.evaluate import Attack, attack_batch
from adrgd.attacks.threat import Threat
from adrgd.domain import Norm, as_eps
from adrgd.errors import DataError, ModelError, UsageError
from adrgd.gates.call import HALF
from adrgd.given import as_labels, check_classes
from adrgd.models.checks import answer
from adrgd.models.outputs import Logits
from adrgd.modes import only_in_eval_mode
from adrgd.solvers import Solver
from adrgd.units import warn_of_grey


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


def as_radius(given: Any) -> float:
    """A size of perturbation, of any library, which may be zero.

    Raises:
        UsageError: not one finite number, or a negative one.
    """
    found = as_eps(given)
    if isinstance(found, Tensor) or not 0 <= found < float("inf"):
        raise UsageError(f"eps must be one finite number, not negative, found {given!s:.60}")
    return float(found)


def perturb(
    model: Callable[[Tensor], Any],
    images: Tensor,
    labels: Any,
    method: Method,
    *,
    eps: Any,
    norm: Norm,
    bounds: tuple[float, float] | None,
    targeted: bool,
    first: int = 0,
    network: Any = None,
) -> Tensor:
    """Attack images (B, ...), and return what was found (B, ...), detached, in the images' type.

    The search is made in the network's type, in float32 where that is half precision; a result in another type is
    rounded into ball and box.

    Args:
        model: returns logits (B, C), or one logit a row.
        labels: (B,) classes to leave, or to reach when `targeted`, in any form.
        eps: the largest perturbation; zero leaves the images as they are.
        bounds: the range of valid inputs; None for no bounds.
        first: the position of the first image in its data set, on which the random numbers depend.
        network: the module inside the model, whose parameters' type is the network's; the images' type without one.

    Raises:
        UsageError, DataError, ModelError: settings, images, labels or logits that cannot be attacked.
    """
    eps, given = as_radius(eps), images.detach()
    labels = as_labels(labels, len(given), given.device, "targets" if targeted else "labels")
    if eps == 0 or not len(given):
        return given.clone()
    if not given.is_floating_point():
        raise DataError(f"images must be floating-point numbers, found {given.dtype}; convert them, and eps with them")
    own = _type_of(network, given)
    kind = torch.float32 if own in HALF else own
    clean, inner = given.to(kind), Logits(model)

    def ask(x: Tensor) -> Tensor:
        return inner(x.to(own)).to(kind)  # type: ignore[no-any-return]

    if bounds is None:
        warn_of_grey(clean)
    lower, upper = bounds or (float(clean.min()) - 2 * eps, float(clean.max()) + 2 * eps)  # out of every ball's reach
    threat = Threat(norm=norm, eps=eps, lower=lower, upper=upper, target="next" if targeted else None)
    if targeted:
        labels = _class_before(labels, _classes(ask, clean))
    index = torch.arange(first, first + len(clean))
    found = attack_batch(ask, clean, labels, method.attack(threat), index=index).adversarial.detach()
    return found if kind == given.dtype else threat.around(given).bind(given).project(found.to(given.dtype))


def _type_of(network: Any, images: Tensor) -> torch.dtype:
    parameters = network.parameters() if isinstance(network, nn.Module) else ()
    return next((p.dtype for p in parameters if p.is_floating_point()), images.dtype)


def _class_before(targets: Tensor, classes: int) -> Tensor:
    """The labels whose next class is the target: this is how a `Threat` is given a target for each image."""
    check_classes(targets, classes, "targets")
    return (targets - 1) % classes


def _classes(model: Callable[[Tensor], Tensor], images: Tensor) -> int:
    with torch.no_grad(), only_in_eval_mode():
        logits = answer(model, images[:1])
    if logits.dim() != 2:
        raise ModelError(f"the model must return logits of shape (B, classes), found {tuple(logits.shape)}")
    return int(logits.shape[1])
