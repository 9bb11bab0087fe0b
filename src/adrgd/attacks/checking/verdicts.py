"""Whether examples are broken, by the answer of a network: for sure, or by a hair that is rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from adrgd.attacks.case import ROUNDING
from adrgd.attacks.task import IGNORED, SHARE, TaskAttack
from adrgd.objective import asked, margin, targeted_margin

Network = Callable[[Tensor], Tensor]
Table = dict[str, Tensor]


class Verdict(NamedTuple):
    """Of B examples: (B,) each.

    Attributes:
        broken: what the answer says.
        sure: it says so by more than rounding.
        finite: it is a number at all.
    """

    broken: Tensor
    sure: Tensor
    finite: Tensor


def of_classes(network: Network, x: Tensor, rows: Table) -> Verdict:
    """Rows have a label and a target each, -1 for none."""
    label, target = rows["label"], rows["target"]
    aimed = target >= 0
    with torch.no_grad():
        logits = asked(network, x, torch.where(aimed, target, label), targeted=bool(aimed.any()))
    by = torch.where(aimed, targeted_margin(logits, target.clamp_min(0)), margin(logits, label))
    broken = torch.where(aimed, logits.argmax(1) == target, logits.argmax(1) != label)
    return Verdict(broken, by.abs() > ROUNDING * logits.abs().amax(1), logits.isfinite().all(1))


def of_task(task: TaskAttack, network: Network, x: Tensor, labels: Tensor) -> Verdict:
    """Labels have the form of the task."""
    with torch.no_grad():
        answer = network(x)
    flat = answer.flatten(1)
    rounding = ROUNDING * flat.abs().amax(1, keepdim=True)
    if task.task == "multilabel":
        lead, counts = torch.where(labels.reshape(flat.shape) > 0, -flat, flat), torch.ones_like(flat, dtype=torch.bool)
    elif task.task == "segmentation":
        label = labels.long().flatten(1)
        counts = label != IGNORED
        places = answer.flatten(2).transpose(1, 2).flatten(0, 1)
        lead = margin(places, torch.where(counts, label, 0).flatten()).view_as(label)
    else:
        off = (flat - labels.to(flat).view(-1, 1)).abs()
        lead, counts = off - (task.band or 0.0), torch.ones_like(flat, dtype=torch.bool)
        rounding = torch.maximum(rounding, ROUNDING * labels.to(flat).abs().view(-1, 1))

    def goal(more: Tensor) -> Tensor:
        wrong = ((lead > more) & counts).sum(1) / counts.sum(1).clamp_min(1)
        if task.share is None and task.task != "segmentation":
            return wrong > 0
        return wrong >= (task.share or SHARE)

    broken = goal(torch.zeros_like(rounding))
    return Verdict(broken, goal(rounding) == goal(-rounding), flat.isfinite().all(1))
