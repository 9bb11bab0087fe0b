"""One batch of images under one threat: what every attack is given, and what decides whether it has succeeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adrgd.attacks.threat import Threat
from adrgd.defences.expected import Expected
from adrgd.domain import Domain
from adrgd.errors import DataError, ModelError
from adrgd.given import check_classes
from adrgd.models.checks import answer
from adrgd.objective import Classify, Loss, Misclassify, asked, find_loss, margin, targeted_margin

Network = Callable[[Tensor], Tensor]

ROUNDING = 1e-5  # of the largest logit: so much may another device, batch size or precision change


@dataclass(frozen=True, eq=False)
class Case:
    """One batch of B images.

    Attributes:
        model: returns logits (B, C).
        clean: (B, ...) the images, on the model's device, inside the threat's range if it has one.
        labels: (B,) the classes they belong to.
        index: (B,) their positions in the data set.
        loss: what is raised, or what the inputs found are compared by.
        logits: (B, C) of the clean images.
        target: (B,) the class each is to become; None in an untargeted attack.
        judge: what says in the end which images are broken: the mean of a random model over fresh draws; None where
            that is the model itself.
        lead: (B,) by how much an image of a random model must be broken for a search to leave it; None elsewhere.
    """

    model: Network
    clean: Tensor
    labels: Tensor
    index: Tensor
    threat: Threat
    loss: Loss
    logits: Tensor
    target: Tensor | None
    judge: Expected | None = None
    lead: Tensor | None = None

    @staticmethod
    def of(
        model: Network,
        images: Tensor,
        labels: Tensor,
        index: Tensor,
        threat: Threat,
        *,
        loss: str,
        seed: int,
        judge: Expected | None = None,
    ) -> Case:
        """Look at a batch, and choose each image's target where the threat has one.

        Raises:
            DataError: images leave the range, or labels are not classes of the model.
            ModelError: the logits are not finite, or not (B, C).
        """
        clean = in_range(images, threat)
        logits = finite_logits(judge or model, clean)
        check_classes(labels, logits.shape[1])
        target = threat.targets(labels, logits, index, seed)
        found = find_loss(loss, targeted=target is not None)
        case = Case(model, clean, labels, index.to(labels.device), threat, found, logits, target, judge)
        if getattr(judge or model, "furthest", None) is not None:
            case = replace(case, logits=case.judged(clean))
        return case if judge is None else replace(case, lead=case._spread())

    def _spread(self) -> Tensor:
        """(B,) twice the standard error of the margins that the search sees, at the clean images."""
        if not isinstance(self.model, Expected) or self.model.draws < 2:
            return torch.zeros_like(self.logits[:, 0])
        everyone = torch.arange(len(self.clean), device=self.clean.device)
        margins = torch.stack([self.margin(logits, everyone) for logits in self.each(self.model, self.clean)])
        error: Tensor = margins.std(0) / self.model.draws**0.5
        return 2 * error

    def each(self, mean: Expected, x: Tensor) -> Tensor:
        """The logits (draws, B, C) of x in every draw of a mean."""
        goal, targeted = self.goal, self.target is not None
        return mean.each(x, lambda x: asked(mean.model, x, goal, targeted=targeted))

    def judged(self, x: Tensor) -> Tensor:
        """The logits (B, C) of x that decide which images are broken."""
        goal, targeted = self.goal, self.target is not None
        return finite_logits(lambda x: asked(self.judge or self.model, x, goal, targeted=targeted), x)

    def verdict(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What `judged` returns, and in how many of a random model's draws (B,) each x is broken."""
        if self.judge is None:
            return self.judged(x), None
        each = self.each(self.judge, x)
        wrong = torch.stack([self.broken(logits.argmax(1)) for logits in each]).sum(0)
        return finite_logits(lambda x: each.mean(0), x), wrong

    def answer(self, x: Tensor, rows: Tensor) -> Tensor:
        """The logits (N, C) of points x (N, ...) that belong to the images at `rows`, as an attack searches by them."""
        return asked(self.model, x, self.goal[rows], targeted=self.target is not None)

    @property
    def goal(self) -> Tensor:
        """(B,) the classes that the loss is about: labels to leave, or targets to reach."""
        return self.labels if self.target is None else self.target

    def broken(self, prediction: Tensor) -> Tensor:
        """(B,) whether these predicted classes are what the attack is after."""
        return prediction != self.labels if self.target is None else prediction == self.target

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """(N,) by how much logits (N, C) of the images at `rows` are what the attack is after; negative if not."""
        return (margin if self.target is None else targeted_margin)(logits, self.goal[rows])

    def ahead(self, logits: Tensor, rows: Tensor, target: Tensor) -> Tensor:
        """(N,) by how much these classes (N,) are ahead of the labels; in a targeted attack, of the largest other."""
        if self.target is not None:
            return targeted_margin(logits, target)
        pair = logits.gather(1, torch.stack([target, self.labels[rows]], 1))
        return pair[:, 0] - pair[:, 1]

    def clearly_broken(self, logits: Tensor, rows: Tensor) -> Tensor:
        """(N,) whether logits (N, C) of the images at `rows` are what the attack is after by more than rounding."""
        margin, rounding = self.margin(logits, rows), ROUNDING * logits.abs().amax(1)
        return margin > (rounding if self.lead is None else torch.maximum(rounding, self.lead[rows]))

    def around(self, rows: Tensor) -> Domain:
        """The inputs allowed for the images at these positions, which may come more than once."""
        return self.threat.around(self.clean[rows])

    def objective(self, rows: Tensor, loss: Loss | None = None) -> Misclassify | Classify:
        """The loss of these images, or another one about the same classes."""
        kind = Misclassify if self.target is None else Classify
        return kind(self.model, self.goal[rows], loss or self.loss)


def finite_logits(model: Network, x: Tensor) -> Tensor:
    """The logits (B, C) of x, without gradients.

    Raises:
        ModelError: the model fails, or they are not finite, or not (B, C).
    """
    with torch.no_grad():
        logits = answer(model, x)
    if logits.dim() != 2 or len(logits) != len(x):
        raise ModelError(f"the model must return logits of shape ({len(x)}, classes), found {tuple(logits.shape)}")
    if not logits.isfinite().all():
        row = int((~logits.isfinite()).any(1).nonzero()[0])
        raise ModelError(f"the model's logits are not finite for row {row} of the batch; check its weights and inputs")
    return logits


def in_range(images: Tensor, threat: Threat) -> Tensor:
    """Images put exactly inside the threat's range, if it has one.

    Raises:
        DataError: they leave it by more than rounding, or are no finite numbers.
    """
    if not images.numel():
        return images
    if (wrong := ~images.flatten(1).isfinite().all(1)).any():
        raise DataError(f"images must be finite numbers, found NaN or infinite ones in row {int(wrong.nonzero()[0])}")
    low, high = float(images.min()), float(images.max())
    if threat.range is not None and not (threat.range[0] - 1e-6 <= low and high <= threat.range[1] + 1e-6):
        raise DataError(
            f"images must lie in [{threat.range[0]:g}, {threat.range[1]:g}], found values from {low:g} to {high:g}; "
            "rescale them, and put any normalisation inside the model"
        )
    return threat.clip(images)
