"""The one judge of all attacks: is a returned input inside its ball and box, and is it broken?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.attacks.evaluate import AttackResult
from adrgd.errors import AdrgdError
from adrgd.rows import column


@dataclass(frozen=True, kw_only=True, repr=False)
class Checked(AttackResult):
    """What an attack achieved on one batch, judged by us; one entry an image.

    Attributes:
        outside: the returned input left the ball or the box by more than rounding; the clean image takes its place.
        unconfirmed: the attack called it broken, and the untouched network does not agree.
        silent: an input that the attack evaluated on its way was broken, and the returned one is not.
        broken_after: forward and backward passes spent on the image until it was broken, -1 for never.
        history: (B, points) the best loss so far from the begin to the end of the run; NaN where nothing was seen.
    """

    outside: Tensor
    unconfirmed: Tensor
    silent: Tensor
    broken_after: Tensor


def excess(case: Case, x: Tensor) -> Tensor:
    """(B,) by how much x (B, ...) leaves its ball or box, at most 0 inside; NaN where x is NaN."""
    ball = case.threat.distance(x, case.clean) - case.threat.eps
    if case.threat.range is None:
        return ball
    lower, upper = case.threat.range
    below, above = (lower - x).flatten(1).amax(1), (x - upper).flatten(1).amax(1)
    return torch.maximum(ball, torch.maximum(below, above))


def inside(case: Case, x: Tensor) -> Tensor:
    """(B,) whether x lies in its ball and box, up to the rounding of an attack's own projection."""
    return excess(case, x) <= 1e-6 + 1e-5 * case.threat.eps


class Verdict(NamedTuple):
    """`x` (B, ...) exactly inside ball and box, and what the untouched network says there; (B,) each."""

    x: Tensor
    prediction: Tensor
    loss: Tensor
    success: Tensor
    outside: Tensor
    unconfirmed: Tensor


def judge(case: Case, found: Tensor, claimed: Tensor | None = None) -> Verdict:
    """Judge the inputs that an attack returned.

    What rounding has put outside is pulled back in before the network is asked; what is farther out, or NaN, does not
    count, and the clean image takes its place.

    Args:
        found: as the attack returned it; expected to be (B, ...) like the images.
        claimed: (B,) which of them the attack calls broken, where it says so.

    Raises:
        AdrgdError: `found` has another shape.
    """
    if found.shape != case.clean.shape:
        raise AdrgdError(
            f"expected inputs of shape {tuple(case.clean.shape)} from the attack, found {tuple(found.shape)}; choose "
            "an attack that returns one input an image"
        )
    found = found.detach().to(case.clean)
    outside = ~inside(case, found)
    domain = case.threat.around(case.clean).bind(case.clean)
    x = domain.project(torch.where(column(outside, found), case.clean, found))
    with torch.no_grad():
        logits = case.judged(x)
    prediction = logits.argmax(1)
    success = case.broken(prediction)
    unconfirmed = torch.zeros_like(success) if claimed is None else claimed.to(success) & ~success
    return Verdict(x, prediction, case.loss(logits, case.goal), success, outside, unconfirmed)


def checked(
    case: Case,
    verdict: Verdict,
    *,
    forwards: Tensor,
    backwards: Tensor,
    seconds: float,
    first_success: Tensor,
    broken_after: Tensor,
    silent: Tensor,
    history: Tensor,
) -> Checked:
    """Put together the result of an attack that is not ours; all tensors have one row an image.

    Args:
        seconds: of the whole batch.
    """
    count = len(case.clean)
    return Checked(
        index=case.index, label=case.labels,
        target=torch.full_like(case.labels, -1) if case.target is None else case.target,
        clean_prediction=case.logits.argmax(1), adversarial_prediction=verdict.prediction,
        clean_loss=case.loss(case.logits, case.goal), adversarial_loss=verdict.loss, success=verdict.success,
        first_success=first_success, forward_passes=forwards, backward_passes=backwards,
        distance=case.threat.distance(verdict.x, case.clean), not_finite=torch.zeros_like(verdict.success),
        seconds=torch.full((count,), seconds / max(1, count), dtype=torch.float64), adversarial=verdict.x,
        history=history, outside=verdict.outside, unconfirmed=verdict.unconfirmed, silent=silent,
        broken_after=torch.where(verdict.success, broken_after, -1),
    )  # fmt: skip
