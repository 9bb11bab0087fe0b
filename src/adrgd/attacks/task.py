"""Attacks on networks that do not answer with one class: many labels, a class for each pixel, a number."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.attacks.case import in_range
from adrgd.attacks.threat import Threat
from adrgd.errors import DataError, ModelError, UsageError
from adrgd.given import as_images, as_solver
from adrgd.maximize import maximize
from adrgd.names import TaskName
from adrgd.rows import column
from adrgd.settings import as_count, as_flag, as_integer, settle
from adrgd.shown import Shown
from adrgd.solvers import GraduatedADR, Solver
from adrgd.tasks import Leave, MultiLabel, Segment

Network = Callable[[Tensor], Any]

SHARE = 0.99  # of a map's pixels that are to be wrong, unless another is asked for
IGNORED = 255  # a pixel's label that does not count


@dataclass(frozen=True, kw_only=True)
class TaskAttack:
    """Everything that decides the result, apart from the model and the images.

    Attributes:
        task: "multilabel": one logit a label, labels (N, L) of 0 and 1. "segmentation": logits (B, C, H, W), labels
            (N, H, W), of which 255 does not count. "regression": one number a row, labels (N,).
        threat: the allowed perturbations; its target is None.
        share: of the labels or pixels that are to be wrong for success: any label unless given, .99 of the pixels.
        band: in regression how far the output has to leave the label.
        solver, steps, restarts, seed, stop_at_success: as in `Attack`.
    """

    task: TaskName
    threat: Threat = field(default_factory=Threat)
    share: float | None = None
    band: float | None = None
    solver: Solver = field(default_factory=GraduatedADR)
    steps: int = 100
    restarts: int = 1
    seed: int = 0
    stop_at_success: bool = True

    def __post_init__(self) -> None:
        if self.task not in KINDS:
            raise UsageError(
                f"expected one of the tasks {', '.join(KINDS)}, found {self.task!r}; an Attack takes classes"
            )
        if not isinstance(self.threat, Threat):
            raise UsageError(f"threat must be a Threat such as Threat(eps=8/255), found {self.threat!r}; correct it")
        settle(self, steps=as_count, restarts=as_count, seed=as_integer, stop_at_success=as_flag)
        object.__setattr__(self, "solver", as_solver(self.solver))
        if self.threat.target is not None:
            raise UsageError(f"a target is a class, and {self.task} has none; leave it out")
        if (self.band is None) == (self.task == "regression"):
            raise UsageError("regression, and it alone, needs a band: how far the output has to leave the label")
        if self.band is not None and not 0 <= self.band < float("inf"):
            raise UsageError(f"expected a band of 0 or more, found {self.band:g}")
        if self.share is not None and (self.task == "regression" or not 0 < self.share <= 1):
            raise UsageError(f"expected a share of labels or pixels above 0 and up to 1, found {self.share:g}")


@dataclass(frozen=True, kw_only=True, repr=False)
class TaskResult(Shown):
    """One entry an image.

    Attributes:
        before, after: the share of labels or pixels that are wrong; in regression the output.
        success: judged on the returned input, by the rule of the task.
        distance: size of the perturbation in the threat's norm.
        adversarial: (B, ...) the inputs found.
        overlap: (B, 2, C, 2) pixels in which label and prediction agree, and in which either has the class, before and
            after; None for other tasks.
    """

    index: Tensor
    before: Tensor
    after: Tensor
    success: Tensor
    distance: Tensor
    forward_passes: Tensor
    backward_passes: Tensor
    seconds: Tensor
    adversarial: Tensor
    overlap: Tensor | None = None


@dataclass(frozen=True)
class Kind:
    """What differs by task.

    Attributes:
        objective: of a model, labels and what was asked.
        measure: of outputs and labels: a number a row.
    """

    objective: Callable[[Network, Tensor, TaskAttack], Any]
    measure: Callable[[Tensor, Tensor], Tensor]


def attack_task(
    model: Network, images: Any, labels: Any, attack: TaskAttack, *, index: Tensor | None = None
) -> TaskResult:
    """Attack images (B, ...) whose labels have the form of the task.

    Raises:
        UsageError: the attack makes no sense.
        DataError: the labels do not fit what the model returns.
        ModelError: the model returns no tensor.
    """
    began, kind, x = time.perf_counter(), KINDS[attack.task], as_images(images)
    network = Answer(model)
    labels = _as_numbers(labels).to(x.device)
    index = torch.arange(len(x)) if index is None else index
    clean = in_range(x, attack.threat)
    with torch.no_grad():
        first = network(clean)
    _check(attack.task, first, labels)
    objective = kind.objective(network, labels, attack)
    found = maximize(
        objective, clean, domain=attack.threat.around(clean), solver=attack.solver, steps=attack.steps,
        restarts=attack.restarts, seed=attack.seed, identity=index.to(x.device), stop_at_goal=attack.stop_at_success,
    )  # fmt: skip
    with torch.no_grad():
        last = network(found.x)
        success = objective(found.x, torch.arange(len(x), device=x.device)).reached
    overlap = None
    if attack.task == "segmentation":
        overlap = torch.stack([_overlap(first, labels), _overlap(last, labels)], 1)
    return TaskResult(
        index=index, before=kind.measure(first, labels), after=kind.measure(last, labels), success=success,
        distance=attack.threat.distance(found.x, clean), forward_passes=found.forwards,
        backward_passes=found.backwards,
        seconds=torch.full((len(x),), (time.perf_counter() - began) / max(1, len(x)), dtype=torch.float64),
        adversarial=found.x, overlap=overlap,
    )  # fmt: skip


class Answer(nn.Module):
    """A model as its one output, where it returns several things by name or place.

    Args:
        flat: that of each row as two numbers at least, as checks of classifiers want it.
    """

    def __init__(self, model: Network, *, flat: bool = False) -> None:
        super().__init__()
        self.model, self.flat = model, flat
        self.train(model.training if isinstance(model, nn.Module) else False)

    def forward(self, x: Tensor) -> Tensor:
        answer = self.model(x)
        if isinstance(answer, Mapping):
            answer = next((answer[name] for name in ("out", "logits") if name in answer), None)
        elif isinstance(answer, tuple | list):
            answer = answer[0]
        if not isinstance(answer, Tensor) or not answer.dim() or len(answer) != len(x):
            raise ModelError("the model must return a tensor of one entry a row (or one named out or logits)")
        if not self.flat:
            return answer
        row = answer.reshape(len(x), -1)
        return torch.cat([row, row], 1) if row.shape[1] == 1 else row


def _as_numbers(labels: Any) -> Tensor:
    try:
        found = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"labels must be numbers in the form of the task, found {type(labels).__name__}") from None
    if found.is_floating_point() and not found.isfinite().all():
        raise DataError("labels must be finite numbers, found NaN or infinite ones; correct them")
    return found


def _check(task: TaskName, answer: Tensor, labels: Tensor) -> None:
    shape, found = tuple(answer.shape), tuple(labels.shape)
    wanted: tuple[int, ...] = {
        "multilabel": shape if len(shape) == 2 else (*shape[:1], 1), "segmentation": (*shape[:1], *shape[2:]),
        "regression": shape[:1],
    }[task]  # fmt: skip
    if task == "segmentation" and len(shape) < 3:
        raise ModelError(f"a map of classes has the shape (B, classes, height, width), found {shape}")
    if task == "regression" and answer[0].numel() != 1:
        raise ModelError(f"expected one number a row, found {shape}; pick one of them")
    if found != wanted:
        raise DataError(f"expected labels of shape {wanted} for {task} with outputs {shape}, found {found}")
    if task == "multilabel" and not ((labels == 0) | (labels == 1)).all():
        raise DataError(f"labels must be 0 or 1, found {labels[(labels != 0) & (labels != 1)][0].item():g}")
    if task == "segmentation":
        counted = labels[labels != IGNORED]
        if len(counted) and not (0 <= int(counted.min()) and int(counted.max()) < shape[1]):
            raise DataError(
                f"labels must lie between 0 and {shape[1] - 1}, or be {IGNORED} where they do not count, found "
                f"{int(counted.min())} to {int(counted.max())}"
            )


def _pairs(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Logits (B, L) of labels as those of two classes, absent and present, at L places."""

    def run(x: Tensor) -> Tensor:
        z = _flat(network(x))
        return torch.stack([-z / 2, z / 2], 1)

    return run


def _flat(logits: Tensor) -> Tensor:
    return logits[:, None] if logits.dim() == 1 else logits


def _multilabel(network: Any, labels: Tensor, asked: TaskAttack) -> Any:
    if asked.share is not None:
        return Segment(_pairs(network), labels.long(), share=asked.share, ignore=-1)
    return MultiLabel(network, 1 - 2 * labels.float())


def _labels_wrong(answer: Tensor, labels: Tensor) -> Tensor:
    return ((_flat(answer) > 0) != (labels > 0)).double().mean(1)


def _segmentation(network: Any, labels: Tensor, asked: TaskAttack) -> Any:
    return Segment(network, labels.long(), share=asked.share or SHARE, ignore=IGNORED)


def _pixels_wrong(answer: Tensor, labels: Tensor) -> Tensor:
    counts = (labels != IGNORED).flatten(1)
    wrong = (answer.argmax(1) != labels).flatten(1) & counts
    return wrong.double().sum(1) / counts.double().sum(1).clamp_min(1)


def _overlap(answer: Tensor, labels: Tensor) -> Tensor:
    """(B, C, 2) pixels where label and prediction both have each class, and where either has it."""
    classes, counts = answer.shape[1], labels != IGNORED
    said, true = (
        nn.functional.one_hot(torch.where(counts, part, 0), classes).movedim(-1, 1).flatten(2) > 0
        for part in (answer.argmax(1), labels.long())
    )
    seen = column(torch.ones(len(labels)), said).to(said.device) * counts.flatten(1)[:, None]
    return torch.stack([((said & true) * seen).sum(2), ((said | true) * seen).sum(2)], 2)


def _regression(network: Any, labels: Tensor, asked: TaskAttack) -> Any:
    band = asked.band or 0.0
    return Leave(network, labels.float() - band, labels.float() + band)


def _number(answer: Tensor, labels: Tensor) -> Tensor:
    return answer.reshape(len(answer)).double()


KINDS: dict[str, Kind] = {
    "multilabel": Kind(_multilabel, _labels_wrong),
    "segmentation": Kind(_segmentation, _pixels_wrong),
    "regression": Kind(_regression, _number),
}
"""Every task but those of classes, which `Attack` is for."""
