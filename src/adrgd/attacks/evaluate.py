"""Attack one batch of images: a first run on all, restarts on what still stands, and a final check."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from adrgd.attacks.threat import Threat
from adrgd.errors import AdrgdError, DataError, ModelError
from adrgd.maximize import maximize
from adrgd.objective import Classify, Loss, Misclassify, Score, better, find_loss
from adrgd.rows import column
from adrgd.solvers import GraduatedADR, Solver

MOST_RUNS = 16  # restarts of one image that run side by side


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Everything that decides the result of an attack, apart from the model and the images.

    Attributes:
        threat: the allowed perturbations and the goal.
        solver: what moves the inputs.
        steps: iterations of each run.
        restarts: runs an image; the first begins at the clean image unless the solver starts at random.
        loss: a name from `adrgd.objective.LOSSES`.
        seed: of all randomness; an image's random numbers depend on it and on the image's index alone.
        stop_at_success: leave an image as soon as it is broken; otherwise go on raising the loss.
    """

    threat: Threat = field(default_factory=Threat)
    solver: Solver = field(default_factory=GraduatedADR)
    steps: int = 100
    restarts: int = 1
    loss: str = "cross-entropy"
    seed: int = 0
    stop_at_success: bool = True

    def __post_init__(self) -> None:
        find_loss(self.loss, targeted=False)


@dataclass(frozen=True)
class AttackResult:
    """One entry an image.

    Attributes:
        target: the class it was to become, -1 in an untargeted attack.
        clean_prediction, adversarial_prediction: the classes predicted before and after.
        clean_loss, adversarial_loss: the attacked loss before and after.
        success: judged on the returned input, evaluated once more without any gates replaced.
        first_success: the iteration of its run at which the image first broke, -1 for never.
        forward_passes, backward_passes: spent by the attack, restarts together.
        distance: size of the perturbation in the threat's norm.
        seconds: the batch's wall time divided by its images.
        adversarial: (B, ...) the inputs found.
        history: (B, steps + 1) the best loss so far at each iteration of the first run.
    """

    index: Tensor
    label: Tensor
    target: Tensor
    clean_prediction: Tensor
    adversarial_prediction: Tensor
    clean_loss: Tensor
    adversarial_loss: Tensor
    success: Tensor
    first_success: Tensor
    forward_passes: Tensor
    backward_passes: Tensor
    distance: Tensor
    seconds: Tensor
    adversarial: Tensor
    history: Tensor


def attack_batch(
    model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, attack: Attack, *, index: Tensor | None = None
) -> AttackResult:
    """Attack images (B, ...) with labels (B,); misclassified clean images count as broken at iteration 0.

    Args:
        model: returns logits (B, C).
        index: (B,) positions in the data set, 0 .. B-1 unless given.

    Raises:
        DataError: images leave the range, or labels are not classes of the model.
        ModelError: the logits are not finite, or not (B, C).
    """
    began = time.perf_counter()
    index = torch.arange(len(images)) if index is None else index
    clean = _in_range(images, attack.threat)
    logits = _logits(model, clean)
    if len(labels) and not (0 <= int(labels.min()) and int(labels.max()) < logits.shape[1]):
        raise DataError(
            f"labels must lie between 0 and {logits.shape[1] - 1} for a model of {logits.shape[1]} classes, found "
            f"{int(labels.min())} to {int(labels.max())}"
        )
    target = attack.threat.targets(labels, logits, index, attack.seed)
    goal = labels if target is None else target
    loss = find_loss(attack.loss, targeted=target is not None)
    best = _Best(clean, attack.steps)
    _run_waves(model, clean, goal, index, attack, loss, best)

    adversarial = best.x
    checked = _logits(model, adversarial)
    prediction = checked.argmax(1)
    if not attack.threat.around(clean).bind(clean).contains(adversarial).all():
        raise AdrgdError("an adversarial input left its ball or box; this is a defect of adrgd, please report it")
    return AttackResult(
        index=index, label=labels, target=torch.full_like(labels, -1) if target is None else target,
        clean_prediction=logits.argmax(1), adversarial_prediction=prediction,
        clean_loss=loss(logits, goal).detach(), adversarial_loss=loss(checked, goal).detach(),
        success=(prediction != labels) if target is None else (prediction == target),
        first_success=best.first, forward_passes=best.forwards, backward_passes=best.backwards,
        distance=attack.threat.distance(adversarial, clean),
        seconds=torch.full((len(clean),), (time.perf_counter() - began) / max(1, len(clean)), dtype=torch.float64),
        adversarial=adversarial, history=best.history,
    )  # fmt: skip


class _Best:
    """The best point of each image over the waves of restarts."""

    def __init__(self, clean: Tensor, steps: int) -> None:
        count, device = len(clean), clean.device
        self.x = clean.clone()
        self.value = torch.full((count,), -torch.inf, dtype=clean.dtype, device=device)
        self.reached = torch.zeros(count, dtype=torch.bool, device=device)
        self.first = torch.full((count,), -1, device=device)
        self.forwards = torch.zeros(count, dtype=torch.int64, device=device)
        self.backwards = torch.zeros(count, dtype=torch.int64, device=device)
        self.history = torch.full((count, steps + 1), -torch.inf, dtype=clean.dtype, device=device)


def _run_waves(
    model: Callable[[Tensor], Tensor],
    clean: Tensor,
    goal: Tensor,
    index: Tensor,
    attack: Attack,
    loss: Loss,
    best: _Best,
) -> None:
    """Runs 0, 1, 2-3, 4-7, ...: later waves meet fewer images, and never depend on the batch size."""
    done = 0
    while done < attack.restarts:
        runs = min(max(1, done), MOST_RUNS, attack.restarts - done)
        standing = torch.arange(len(clean), device=clean.device)
        if done and attack.stop_at_success:
            standing = (~best.reached).nonzero()[:, 0]
        for rows in torch.split(standing, max(1, len(clean) // runs)):
            objective = (
                Misclassify(model, goal[rows], loss)
                if attack.threat.target is None
                else Classify(model, goal[rows], loss)
            )
            solution = maximize(
                objective, clean[rows], domain=attack.threat.around(clean[rows]), solver=attack.solver,
                steps=attack.steps, restarts=runs, first_restart=done, seed=attack.seed, identity=index.to(rows)[rows],
                stop_at_goal=attack.stop_at_success, check=False, history=done == 0,
            )  # fmt: skip
            had, value = best.reached[rows], best.value[rows]
            improved = better(Score(solution.value, solution.reached), Score(value, had))
            best.x[rows] = torch.where(column(improved, clean), solution.x, best.x[rows])
            best.value[rows] = torch.where(improved, solution.value, value)
            fresh = solution.reached & ~had
            best.first[rows] = torch.where(fresh, solution.first_reached, best.first[rows])
            best.reached[rows] |= solution.reached
            best.forwards[rows] += solution.forwards
            best.backwards[rows] += solution.backwards
            if solution.history is not None:
                best.history[rows, : len(solution.history)] = solution.history.T
                best.history[rows, len(solution.history) :] = solution.history[-1][:, None]
        done += runs


def _in_range(images: Tensor, threat: Threat) -> Tensor:
    low, high = (float(images.min()), float(images.max())) if images.numel() else (threat.lower, threat.upper)
    if not (threat.lower - 1e-6 <= low and high <= threat.upper + 1e-6):  # NaN fails too
        raise DataError(
            f"images must lie in [{threat.lower:g}, {threat.upper:g}], found values from {low:g} to {high:g}; "
            "rescale them, and put any normalisation inside the model (?mean=..&std=..)"
        )
    return images.clamp(threat.lower, threat.upper)


def _logits(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(x)
    if logits.dim() != 2 or len(logits) != len(x):
        raise ModelError(f"the model must return logits of shape ({len(x)}, classes), found {tuple(logits.shape)}")
    if not logits.isfinite().all():
        row = int((~logits.isfinite()).any(1).nonzero()[0])
        raise ModelError(f"the model's logits are not finite for row {row} of the batch; check its weights and inputs")
    return logits
