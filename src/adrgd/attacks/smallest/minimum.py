"""The smallest change of each image that breaks it, in any of the norms, within a number of passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.attacks.masked import say_masked
from adrgd.attacks.prepare import prepared
from adrgd.attacks.smallest.shrinking import least_passes, search
from adrgd.attacks.sources import over
from adrgd.attacks.threat import Threat
from adrgd.defences.expected import passes_of
from adrgd.errors import UsageError
from adrgd.given import as_solver
from adrgd.models.outputs import Output
from adrgd.names import Norm
from adrgd.objective import find_loss
from adrgd.rows import column
from adrgd.settings import as_count, as_integer, settle
from adrgd.solvers import GraduatedADR, Solver

LONGER = (1.05, 1.1, 1.2, 1.35, 1.5, 2.0)  # than a change of a random model's image is what follows it


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """How to look for the smallest change.

    Attributes:
        norm: "linf", "l2", "l1", or "l0", the number of pixels (of coordinates, where inputs are no images).
        passes: forward and backward passes an image, together; enough for a run at least.
        steps: iterations of each run, at most.
        solver: what moves the inputs inside each ball.
        lower, upper: the range of valid inputs.
        target, mask: as in `Threat`.
        loss: a name from `adrgd.objective.LOSSES`.
        seed: of all randomness.
        eot, eot_judge: as in `Attack`; `passes` counts those of every draw that is attacked.
    """

    norm: Norm = "l2"
    passes: int = 1000
    steps: int = 25
    solver: Solver = field(default_factory=GraduatedADR)
    lower: float = 0.0
    upper: float = 1.0
    target: Any = None
    mask: Any = None
    loss: str = "margin"
    seed: int = 0
    eot: int | None = None
    eot_judge: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", self.threat.norm)
        object.__setattr__(self, "solver", as_solver(self.solver))
        settle(self, passes=as_count, steps=as_count, seed=as_integer, eot_judge=as_count)
        if self.eot is not None:
            settle(self, eot=as_count)
        find_loss(self.loss, targeted=False)
        if self.passes < (least := least_passes(self.steps) * (self.eot or 1)):
            draws = "" if self.eot is None else f" on {self.eot} draws"
            raise UsageError(
                f"expected passes for one run of {self.steps} steps{draws} at least, that is {least}, found "
                f"{self.passes}; raise passes or lower steps"
            )

    @property
    def threat(self) -> Threat:
        """What the attacker may do, but for the size of a change: its eps says nothing."""
        return Threat(
            norm=self.norm, eps=1.0, lower=self.lower, upper=self.upper, target=self.target, mask=self.mask
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Smallest:
    """One entry an image.

    Attributes:
        target: the class it was to become, -1 where any other will do.
        clean_prediction, adversarial_prediction: the classes predicted before and after.
        success: whether a broken input was found, judged on the one that is returned.
        distance: of the nearest broken input found from the image, in float64; infinite where none was, 0 where the
            image was broken to begin with.
        failed: the largest radius in which a run found nothing, 0 where every run found something; no proof.
        forward_passes, backward_passes: spent.
        seconds: the batch's wall time divided by its images.
        adversarial: (B, ...) the nearest broken inputs found; the clean image where none was.
        wrong_draws: as in `AttackResult`.
    """

    index: Tensor
    label: Tensor
    target: Tensor
    clean_prediction: Tensor
    adversarial_prediction: Tensor
    success: Tensor
    distance: Tensor
    failed: Tensor
    forward_passes: Tensor
    backward_passes: Tensor
    seconds: Tensor
    adversarial: Tensor
    wrong_draws: Tensor | None = None

    def to(self, device: str) -> Self:
        """The same on another device."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    def robust_accuracy(self, eps: float) -> float:
        """The share of images of which nothing broken was found within this radius."""
        return float((self.distance > eps).double().mean())


def smallest_changes(
    model: Callable[[Tensor], Any],
    images: Any,
    labels: Any,
    minimum: Minimum,
    *,
    index: Tensor | None = None,
    output: Output = None,
    check: bool = True,
) -> Smallest:
    """Look for the smallest change of each image (B, ...) that breaks it; takes what `attack_batch` takes.

    Raises:
        UsageError, DataError, ModelError: as `attack_batch`.
    """
    began = time.perf_counter()
    if not isinstance(minimum, Minimum):
        raise UsageError(f"minimum must be a Minimum such as Minimum(norm='l2'), found {minimum!r}")
    every = over(
        images, labels, index,
        lambda x, y, at, first: smallest_changes(model, x, y, minimum, index=at, output=output, check=check and first),
    )  # fmt: skip
    if every is not None:
        return every
    case = prepared(
        "smallest_changes", model, images, labels, minimum.threat, loss=minimum.loss, seed=minimum.seed, index=index,
        output=output, check=check, eot=minimum.eot, eot_judge=minimum.eot_judge,
    )  # fmt: skip
    cost = passes_of(case.model)
    before = case.logits.argmax(1)
    found = search(case, solver=minimum.solver, steps=minimum.steps, passes=minimum.passes // cost, seed=minimum.seed)
    logits, wrong_draws, x = confirmed(case, found.x)
    after = logits.argmax(1)
    broken = case.broken(after)
    say_masked(~broken, found.moved, found.backwards)
    x = torch.where(column(broken, x), x, case.clean)
    return Smallest(
        index=case.index, label=case.labels,
        target=torch.full_like(case.labels, -1) if case.target is None else case.target,
        clean_prediction=before, adversarial_prediction=torch.where(broken, after, before), success=broken,
        distance=torch.where(broken, case.threat.distance(x, case.clean), torch.inf), failed=found.failed,
        forward_passes=cost * found.forwards, backward_passes=cost * found.backwards,
        seconds=torch.full((len(x),), (time.perf_counter() - began) / max(1, len(x)), dtype=torch.float64),
        adversarial=x, wrong_draws=wrong_draws,
    )  # fmt: skip


def confirmed(case: Case, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """What judges points x (B, ...) of a random model: logits, wrong draws, and the points.

    Draws that were attacked are easier to break than fresh ones: a change that the fresh ones deny is made longer.
    """
    logits, wrong = case.verdict(x)
    moved = (x != case.clean).flatten(1).any(1)
    for length in LONGER if case.judge is not None else ():
        denied = moved & ~case.broken(logits.argmax(1))
        if not denied.any():
            break
        longer = case.threat.clip(case.clean + length * (x - case.clean))
        trial = torch.where(column(denied, x), longer, x)
        found, count = case.verdict(trial)
        broken = denied & case.broken(found.argmax(1))
        x, logits = torch.where(column(broken, x), trial, x), torch.where(column(broken, found), found, logits)
        wrong = count if wrong is None or count is None else torch.where(broken, count, wrong)
    return logits, wrong, x
