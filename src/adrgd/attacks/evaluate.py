"""Attack one batch of images: a first run on all, restarts on what still stands, and a final check."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from adrgd.attacks.best import Best
from adrgd.attacks.case import Case
from adrgd.attacks.ensemble.standard import Standard, find_attacker, run_standard
from adrgd.attacks.masked import say_masked
from adrgd.attacks.prepare import prepared
from adrgd.attacks.sources import over
from adrgd.attacks.threat import Threat
from adrgd.defences.expected import passes_of
from adrgd.errors import AdrgdError, UsageError, warn
from adrgd.given import as_solver
from adrgd.maximize import maximize
from adrgd.models.outputs import Output
from adrgd.objective import Score, find_loss
from adrgd.settings import as_count, as_flag, as_integer, settle
from adrgd.shown import Shown
from adrgd.solvers import GraduatedADR, Solver
from adrgd.units import warn_of_grey, warn_of_reach

MOST_RUNS = 16  # restarts of one image that run side by side


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Everything that decides the result of an attack, apart from the model and the images.

    Attributes:
        threat: the allowed perturbations and the goal.
        solver: what moves the inputs, or `Standard`, an ensemble that divides its own budget into runs; also by name.
        steps: iterations of each run.
        restarts: runs an image; the first begins at the clean image unless the solver starts at random.
        loss: a name from `adrgd.objective.LOSSES`.
        seed: of all randomness; an image's random numbers depend on it and on the image's index alone.
        stop_at_success: leave an image as soon as it is broken; otherwise go on raising the loss.
        eot: for random models: the draws whose mean logits are attacked, each of which costs its passes; see
            `adrgd.defences.Expected`. None for models that are fixed functions.
        eot_judge: fresh draws, over which the mean logits say what is broken.
    """

    threat: Threat = field(default_factory=Threat)
    solver: Solver | Standard = field(default_factory=GraduatedADR)
    steps: int = 100
    restarts: int = 1
    loss: str = "cross-entropy"
    seed: int = 0
    stop_at_success: bool = True
    eot: int | None = None
    eot_judge: int = 100

    def __post_init__(self) -> None:
        find_loss(self.loss, targeted=False)
        if not isinstance(self.threat, Threat):
            raise UsageError(f"threat must be a Threat such as Threat(eps=8/255), found {self.threat!r}; correct it")
        settle(self, steps=as_count, restarts=as_count, seed=as_integer, stop_at_success=as_flag, eot_judge=as_count)
        if self.eot is not None:
            settle(self, eot=as_count)
        given: Any = self.solver
        if not isinstance(given, Standard):
            spec = isinstance(given, str)
            found = Standard() if given is Standard else find_attacker(given) if spec else as_solver(given)
            object.__setattr__(self, "solver", found)
        if isinstance(self.solver, Standard):
            own = {"steps": 100, "restarts": 1, "stop_at_success": True}
            if changed := [name for name, value in own.items() if getattr(self, name) != value]:
                raise UsageError(
                    f"standard divides its own budget and stops at success, found another setting of "
                    f"{' and '.join(changed)}; leave that out, and set the budget instead"
                )


@dataclass(frozen=True, kw_only=True, repr=False)
class AttackResult(Shown):
    """One entry an image.

    Attributes:
        target: the class it was to become, -1 in an untargeted attack.
        clean_prediction, adversarial_prediction: the classes predicted before and after.
        clean_loss, adversarial_loss: the attacked loss before and after.
        success: judged on the returned input, evaluated once more without any gates replaced.
        first_success: the iteration of its run at which the image first broke, -1 for never.
        forward_passes, backward_passes: spent by the attack, restarts together.
        distance: size of the perturbation in the threat's norm.
        not_finite: a run ended because its value or gradient was not finite; a standing image may owe it that.
        seconds: the batch's wall time divided by its images.
        adversarial: (B, ...) the inputs found.
        history: (B, steps + 1) the best loss so far at each iteration of the first run.
        recorded_success: whether the point that the solver's own rule keeps is broken; None for solvers without one.
        no_gradient: the image stands, and the loss's gradient was zero at every iteration.
        wrong_draws: in how many of a random model's `eot_judge` draws the input found has a class that the attack is
            after; None for other models.
        certified: whether bounds have proven, on the way, that nothing in its ball breaks it; None where there were no
            bounds.
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
    not_finite: Tensor
    seconds: Tensor
    adversarial: Tensor
    history: Tensor
    recorded_success: Tensor | None = None
    no_gradient: Tensor | None = None
    wrong_draws: Tensor | None = None
    certified: Tensor | None = None

    def to(self, device: str) -> Self:
        """The same on another device."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


def attack_batch(
    model: Callable[[Tensor], Any],
    images: Any,
    labels: Any,
    attack: Attack,
    *,
    index: Tensor | None = None,
    output: Output = None,
    check: bool = True,
) -> AttackResult:
    """Attack images (B, ...) with labels (B,); misclassified clean images count as broken at iteration 0.

    Args:
        model: returns logits (B, C), or one logit a row; or several things, the logits among them.
        images: floating-point numbers, in the threat's range if it has one, a tensor or an array; or a data set
            that brings its labels, which are None then: a `Dataset` or `DataLoader` of torch, or `load_data`'s images.
        labels: class numbers of any integral type, a list, an array or a tensor; one-hot rows are taken with a warning.
        output: the name or index of the logits in what the model returns, or a function that finds them.
        index: (B,) positions in the data set, 0 .. B-1 unless given.
        check: verify first, on up to eight images, that the model is a fixed function of each row (two more calls),
            and say what looks like a mistake: eps, outputs that are probabilities.

    Raises:
        UsageError: this is no model or no attack.
        DataError: images leave the range, or labels are not classes of the model.
        ModelError: the logits are not finite, or not (B, C); a part of the model is in train mode; it is random, mixes
            rows, or takes batches of one size only.

    Examples:
        >>> import adrgd
        >>> model, data = adrgd.load_model("bundled:mnist-pgd"), adrgd.load_data("bundled:mnist", limit=20)
        >>> attack = adrgd.Attack(threat=adrgd.Threat(norm="linf", eps=0.35), steps=5)
        >>> found = adrgd.attack_batch(model, data.images, data.labels, attack)
        >>> int(found.success.sum()), found.adversarial.shape
        (20, torch.Size([20, 1, 28, 28]))
    """
    began = time.perf_counter()
    if not isinstance(attack, Attack):
        raise UsageError(f"attack must be an Attack such as Attack(threat=Threat(eps=8/255)), found {attack!r}")
    every = over(
        images, labels, index,
        lambda x, y, at, first: attack_batch(model, x, y, attack, index=at, output=output, check=check and first),
    )  # fmt: skip
    if every is not None:
        return every
    threat = attack.threat
    case = prepared(
        "attack_batch", model, images, labels, threat, loss=attack.loss, seed=attack.seed, index=index, output=output,
        check=check, eot=attack.eot, eot_judge=attack.eot_judge,
    )  # fmt: skip
    cost = passes_of(case.model)
    clean = case.clean
    if check and threat.range is not None and threat.patch is None:
        warn_of_reach(threat.eps, threat.range[1] - threat.range[0], clean.shape[1:], threat.norm)
    elif check:
        warn_of_grey(clean)
    best = Best(clean, attack.steps)
    if isinstance(attack.solver, Standard):
        run_standard(case, attack.solver.shared(cost), attack.seed, best)
    else:
        _run_waves(case, attack.solver, attack, best)

    adversarial = best.x
    checked, wrong_draws = case.verdict(adversarial)
    prediction = checked.argmax(1)
    if not threat.around(clean).bind(clean).contains(adversarial).all():
        raise AdrgdError("an adversarial input left its ball or box; this is a defect of adrgd, please report it")
    if best.not_finite.any():
        warn(
            f"{int(best.not_finite.sum())} of {len(clean)} images ended a run early because the loss or its gradient "
            "was not finite; look for overflow, a division by zero or a logarithm of zero in the model"
        )
    success = case.broken(prediction)
    no_gradient = say_masked(~success, best.moved, best.backwards)
    return AttackResult(
        index=case.index, label=case.labels,
        target=torch.full_like(case.labels, -1) if case.target is None else case.target,
        clean_prediction=case.logits.argmax(1), adversarial_prediction=prediction,
        clean_loss=case.loss(case.logits, case.goal), adversarial_loss=case.loss(checked, case.goal),
        success=success, first_success=best.first,
        forward_passes=cost * best.forwards, backward_passes=cost * best.backwards,
        distance=threat.distance(adversarial, clean), not_finite=best.not_finite,
        seconds=torch.full((len(clean),), (time.perf_counter() - began) / max(1, len(clean)), dtype=torch.float64),
        adversarial=adversarial, history=best.history,
        recorded_success=_recorded(case, best), no_gradient=no_gradient, wrong_draws=wrong_draws,
        certified=best.certified,
    )  # fmt: skip


def _recorded(case: Case, best: Best) -> Tensor | None:
    if best.recorded is None:
        return None
    return case.broken(case.judged(best.recorded.x).argmax(1))


def _run_waves(case: Case, solver: Solver, attack: Attack, best: Best) -> None:
    """Runs 0, 1, 2-3, 4-7, ...: later waves meet fewer images, and never depend on the batch size."""
    stop = attack.stop_at_success and case.judge is None  # draws that were lucky are no success
    done = 0
    while done < attack.restarts:
        runs = min(max(1, done), MOST_RUNS, attack.restarts - done)
        everyone = torch.arange(len(case.clean), device=case.clean.device)
        standing = best.standing() if done and stop else everyone
        if not len(standing):
            break
        for rows in torch.split(standing, max(1, len(case.clean) // runs)):
            solution = maximize(
                case.objective(rows), case.clean[rows], domain=case.around(rows), solver=solver,
                steps=attack.steps, restarts=runs, first_restart=done, seed=attack.seed, identity=case.index[rows],
                stop_at_goal=stop, check=False, history=done == 0,
            )  # fmt: skip
            best.update(rows, solution.x, Score(solution.value, solution.reached), solution.first_reached)
            best.spend(rows, solution)
            best.note(rows, solution.recorded)
            if solution.history is not None:
                best.remember(rows, solution.history)
        done += runs
