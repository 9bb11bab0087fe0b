"""What a caller passes to an attack, as a case: looked at and put in order before anything is searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.attacks.threat import Threat
from adrgd.defences.expected import Expected
from adrgd.errors import warn
from adrgd.given import as_images, as_labels, as_model, check_gradients
from adrgd.models.checks import check_model, probe, squashed
from adrgd.models.fitting import fitted
from adrgd.models.outputs import Output
from adrgd.modes import only_in_eval_mode


def prepared(
    caller: str,
    model: Callable[[Tensor], Any],
    images: Any,
    labels: Any,
    threat: Threat,
    *,
    loss: str,
    seed: int,
    index: Any = None,
    output: Output = None,
    check: bool = True,
    eot: int | None = None,
    eot_judge: int = 100,
) -> Case:
    """The case of images (B, ...) with labels (B,), in the forms that `attack_batch` takes.

    Args:
        caller: the function that was called, for the sentences.
        check: see that the model is a fixed function of each row, on up to eight of them (two calls), and say so where
            its outputs are probabilities.
        eot, eot_judge: draws of a random model, of which the mean is attacked and judged; None for other models.

    Raises:
        UsageError: this is no model, or torch keeps no gradients here.
        DataError: images leave the range, or labels are not classes of the model.
        ModelError: the logits are not finite, or not (B, C); a part of the model is in train mode; it is random, mixes
            rows, or takes batches of one size only.
    """
    check_gradients(caller)
    images = as_images(images)
    labels = as_labels(labels, len(images), images.device)
    index = torch.arange(len(images)) if index is None else as_labels(index, len(images), images.device, "index")
    model = fitted(as_model(model), images, output)
    with only_in_eval_mode():
        search = model if eot is None else Expected(model, eot, seed)
        judge = None if eot is None else Expected(model, eot_judge, seed, "judge")
        case = Case.of(search, images, labels, index, threat, loss=loss, seed=seed, judge=judge)
        if check:
            few = probe(case.clean)
            same = judge is None and getattr(search, "furthest", None) is None  # the case's logits are the model's
            check_model(search, few, case.logits[: len(few)] if same and len(few) <= len(case.clean) else None)
            if judge is not None:
                say_if_fixed(judge, few)
    if check and (sentence := squashed(case.logits)):
        warn(sentence)
    return case


def say_if_fixed(model: Expected, few: Tensor) -> None:
    """Say so where all of a few draws of a model are the same, as if it were not random."""
    first, *others = model.other(8).each(few)
    if all(torch.equal(first, other) for other in others):
        warn(
            "a mean over draws was asked for, and all draws of the model are the same: it is not random, or draws from "
            "a generator of its own; leave eot out, or let it use torch's random numbers"
        )
