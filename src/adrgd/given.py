"""What a person passes, as the loop wants it: images and labels in the forms they come in, solvers by name or class."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adrgd.errors import AdrgdWarning, DataError, UsageError
from adrgd.solvers import Solver, make_solver


def as_images(given: Any) -> Tensor:
    """Images (B, ...) as a floating-point tensor without a graph; NumPy arrays are taken as they are.

    Raises:
        DataError: they are no numbers, integers, or a single one without a batch dimension.
    """
    if isinstance(given, np.ndarray):
        given = torch.from_numpy(np.ascontiguousarray(given))
    if not isinstance(given, Tensor):
        raise DataError(f"images must be a tensor or an array (B, ...), found {type(given).__name__}; stack them first")
    if not given.is_floating_point():
        raise DataError(
            f"images must be floating-point numbers, found {_short(given.dtype)}; convert them, as in "
            "images.float() / 255, and give the model what it was trained on"
        )
    if given.dim() < 2:
        raise DataError(f"images must have a batch dimension, found shape {tuple(given.shape)}; add one: images[None]")
    return given.detach()


def as_labels(given: Any, count: int, device: torch.device) -> Tensor:
    """Labels (B,) int64 on a device, from a list, an array or a tensor; whole numbers of any type, or one-hot rows.

    Raises:
        DataError: not one label an image, or numbers that are not whole.
    """
    labels = torch.as_tensor(np.asarray(given) if isinstance(given, list | tuple) else given).detach()
    if labels.dim() == 2 and labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.dim() == 2 and len(labels) == count and _one_hot(labels):
        warnings.warn("labels are one-hot: the class of each row is taken", AdrgdWarning, stacklevel=3)
        labels = labels.argmax(1)
    if labels.shape != (count,):
        raise DataError(
            f"expected one label for each of {count} images, found labels of shape {tuple(labels.shape)}; pass (B,) "
            "class numbers, and images with a batch dimension"
        )
    if labels.dtype == torch.bool or labels.is_complex() or (labels.is_floating_point() and (labels % 1 != 0).any()):
        raise DataError(f"labels must be whole class numbers, found {_short(labels.dtype)}; convert them to int64")
    return labels.to(device=device, dtype=torch.int64)


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


def _one_hot(rows: Tensor) -> bool:
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(1) == 1).all())


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
