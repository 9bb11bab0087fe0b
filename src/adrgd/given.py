"""What a person passes, as the loop wants it: images and labels in the forms they come in, solvers by name or class.

All of it is looked at here, before the first forward pass; what cannot be meant is one sentence.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adrgd.errors import DataError, ModelError, UsageError, warn
from adrgd.gates.call import HALF
from adrgd.models.checks import answer
from adrgd.models.outputs import Logits
from adrgd.objective import Classify, Misclassify, Score, asked
from adrgd.rows import one_hot
from adrgd.solvers import Solver, make_solver


def as_images(given: Any) -> Tensor:
    """Images (B, ...) as a floating-point tensor without a graph; NumPy arrays are taken as they are.

    Half precision becomes float32, with a warning: points are searched and returned so.

    Raises:
        DataError: they are no numbers, integers, none at all, or a single one without a batch dimension.
    """
    given = from_array(given, "images")
    if not isinstance(given, Tensor):
        raise DataError(f"images must be a tensor or an array (B, ...), found {type(given).__name__}; stack them first")
    if not given.is_floating_point():
        raise DataError(
            f"images must be floating-point numbers, found {_short(given.dtype)}; convert them, as in "
            "images.float() / 255, and give the model what it was trained on"
        )
    if given.layout != torch.strided or given.is_quantized or given.is_nested:
        found = "a nested tensor" if given.is_nested else given.layout
        raise DataError(f"images must be dense, found {found}; pass images of one size, as images.to_dense()")
    if given.dim() < 2:
        raise DataError(f"images must have a batch dimension, found shape {tuple(given.shape)}; add one: images[None]")
    if not given.numel():
        raise DataError(f"expected at least one image, found shape {tuple(given.shape)}; pass some")
    if given.dtype in HALF:
        warn(f"images are {_short(given.dtype)}: they are searched and returned in float32")
        given = given.float()
    images: Tensor = given.detach()
    return images


def from_array(given: Any, name: str) -> Any:
    """NumPy arrays as tensors; anything else as it is.

    Raises:
        DataError: an array of something else than numbers.
    """
    if not isinstance(given, np.ndarray):
        return given
    try:
        return torch.from_numpy(np.require(given, requirements=["C", "W"]))
    except TypeError:
        raise DataError(f"{name} must be numbers, found an array of {given.dtype}; convert it") from None


def as_labels(given: Any, count: int, device: torch.device, name: str = "labels") -> Tensor:
    """Labels (B,) int64 on a device, from a list, an array or a tensor; whole numbers of any type, or one-hot rows.

    Args:
        name: what they are, for the sentences.

    Raises:
        DataError: not one label an image, or numbers that are not whole.
    """
    kind = "whole class numbers" if name in ("labels", "targets") else "whole numbers"
    of = "rows" if name in ("identity", "group") else "images"
    try:
        labels = torch.as_tensor(np.asarray(given) if isinstance(given, list | tuple) else given).detach()
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"{name} must be {kind}, one for each of {count} {of}, "
            f"found {type(given).__name__}; pass them as a list, "
            "an array or a tensor"
        ) from None
    if labels.is_meta:
        raise DataError(f"{name} are on the device meta, which keeps no numbers; pass them on the model's")
    if labels.dim() == 2 and labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.dim() == 2 and len(labels) == count and one_hot(labels):
        warn(f"{name} are one-hot: the class of each row is taken")
        labels = labels.int().argmax(1)
    if labels.shape != (count,):
        raise DataError(
            f"expected one {name.removesuffix('s')} for each of {count} {of}, found {name} of shape "
            f"{tuple(labels.shape)}; pass (B,) {kind.removeprefix('whole ')}, and {of} with a batch dimension"
        )
    if labels.dtype == torch.bool or labels.is_complex() or (labels.is_floating_point() and (labels % 1 != 0).any()):
        raise DataError(f"{name} must be {kind}, found {_short(labels.dtype)}; convert them to int64")
    return labels.to(device=device, dtype=torch.int64)


def check_classes(labels: Tensor, classes: int, name: str = "labels") -> None:
    """See that labels are classes of a model.

    Raises:
        DataError: one is not.
    """
    if len(labels) and not (0 <= int(labels.min()) and int(labels.max()) < classes):
        raise DataError(
            f"{name} must lie between 0 and {classes - 1} for a model of {classes} classes, found "
            f"{int(labels.min())} to {int(labels.max())}"
        )


def as_objective(given: Any, x0: Tensor) -> Any:
    """An objective of a classifier with its labels and its logits in any form; others as they are. None is asked yet.

    Raises:
        UsageError: it cannot be called.
        DataError: not one label a row.
    """
    if not callable(given):
        raise UsageError(f"the objective must be a function of x that returns one number a row, found {given!r}")
    if not isinstance(given, Misclassify | Classify):
        return given
    name = "labels" if isinstance(given, Misclassify) else "targets"
    labels = as_labels(getattr(given, name), len(x0), x0.device, name)
    model = given.model if isinstance(given.model, Logits) else Logits(as_model(given.model))
    return replace(given, model=model, **{name: labels})  # type: ignore[arg-type]


def first_score(given: Misclassify | Classify, x: Tensor, rows: Tensor) -> Score:
    """What a classifier's objective says of points x (B, ...), its logits and labels looked at on the way.

    Raises:
        DataError: labels that are no classes of the model.
        ModelError: the model cannot take x, or returns no logits.
    """
    name, labels = ("labels", given.labels) if isinstance(given, Misclassify) else ("targets", given.targets)
    logits = answer(given.model, x)
    if logits.dim() != 2 or len(logits) != len(x):
        raise ModelError(f"the model must return logits of shape ({len(x)}, classes), found {tuple(logits.shape)}")
    check_classes(labels, logits.shape[1], name)
    if getattr(given.model, "furthest", None) is not None:
        logits = asked(given.model, x, labels[rows], targeted=isinstance(given, Classify))
    return given.judge(logits, rows)


def as_model(given: Any) -> Any:
    """A model, which can be called.

    Raises:
        UsageError: it cannot.
    """
    if inspect.isclass(given):
        raise UsageError(
            f"the model must be a module or a function of a batch, found the class {given.__name__}; make one of it"
        )
    if not callable(given):
        raise UsageError(f"the model must be a module or a function of a batch, found {given!r}; load it first")
    return given


def check_gradients(caller: str) -> None:
    """See that gradients can be had.

    Raises:
        UsageError: torch keeps none here.
    """
    if torch.is_inference_mode_enabled():
        raise UsageError(
            f"{caller} needs gradients and runs inside torch.inference_mode(); call it outside of that block"
        )


def as_solver(given: Any) -> Solver:
    """A solver from its name, its class, or itself.

    Raises:
        UsageError: none of them.
    """
    if isinstance(given, str):
        return make_solver(given)
    if inspect.isclass(given) and issubclass(given, Solver) and given is not Solver:
        made: Any = given
        return made()  # type: ignore[no-any-return]
    if not isinstance(given, Solver):
        raise UsageError(
            f"solver must be a solver such as GraduatedADR(), its class or its name, found {given!r}; choose one"
        )
    return given


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
