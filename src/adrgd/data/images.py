"""What every data set is turned into, and the checks it has to pass on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adrgd.errors import DataError, warn
from adrgd.names import TaskName
from adrgd.rows import one_hot

Array = np.ndarray[Any, np.dtype[Any]]

ROUNDING = 1e-6
"""How far outside [0, 1] a value counts as rounding, and is clipped."""


FORMS: dict[TaskName, tuple[int, str]] = {
    "classification": (1, "one label"), "binary": (1, "one label"), "multilabel": (2, "a row of labels"),
    "segmentation": (3, "a map of labels"), "regression": (1, "one number"),
}  # fmt: skip
"""The axes of a task's labels, and what an image has of them."""

SEVERAL = "; for labels of 0 and 1, maps and numbers say --task"


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images.

    Attributes:
        images: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,), or in the form of another task.
        index: int64 (N,), each image's position in the whole data set.
        names: the classes' names in the order of the labels, or None when the files do not say.
        spec: the string they were loaded from.
        skipped: the files that could not be read, with the reason; each has its place in the whole data set.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    names: tuple[str, ...] | None
    spec: str
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Span:
    """Which images of a data set are asked for."""

    offset: int
    limit: int | None

    def within(self, count: int, *, spec: str = "the data") -> slice:
        """The positions asked for, of `count` that there are.

        Raises:
            DataError: there are none.
        """
        if self.offset >= count:
            found = f"{count} and an offset of {self.offset}" if count else "none"
            raise DataError(f"expected images in {spec!r}, found {found}; check the files and the offset")
        return slice(self.offset, count if self.limit is None else min(count, self.offset + self.limit))


@dataclass(frozen=True)
class Raw:
    """What a reader found.

    Attributes:
        images: (N, C, H, W), uint8 or floating-point.
        labels: (N,) integers.
        names: the classes' names, if known.
        cut: whether only the span asked for was read.
        kept: the positions inside the span of those that could be read; None for all.
        skipped: the others' names and what is wrong with them.
    """

    images: Array
    labels: Array
    names: tuple[str, ...] | None = None
    cut: bool = False
    kept: tuple[int, ...] | None = None
    skipped: tuple[str, ...] = ()


def finish(raw: Raw, span: Span, *, spec: str, task: TaskName = "classification") -> Images:
    """Check what a reader found, cut it to the span and convert it.

    Raises:
        DataError: no images, counts that differ, labels that are not classes, or values outside [0, 1].
    """
    images, labels = raw.images, raw.labels
    if not images.ndim or not labels.ndim:
        raise DataError(f"expected images and labels of {spec!r} as arrays, found a single number; correct the files")
    axes, form = FORMS[task]
    if labels.ndim == axes + 1 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if task == "classification" and labels.ndim == 2 and one_hot(labels):
        warn(f"labels of {spec!r} are one-hot: the class of each row is taken")
        labels = labels.argmax(1)
    if len(images) != len(labels) or labels.ndim != axes:
        raise DataError(
            f"expected {form} for each of the {len(images)} images of {spec!r}, found labels of shape "
            f"{labels.shape}; correct the files" + ("" if task != "classification" or labels.ndim == 1 else SEVERAL)
        )
    if not raw.cut:
        part = span.within(len(images), spec=spec)
        images, labels = images[part], labels[part]
    if not images.size:
        raise DataError(f"expected images with pixels in {spec!r}, found shape {images.shape}; correct the files")
    return Images(
        images=torch.from_numpy(_unit(images, spec)),
        labels=torch.from_numpy(_labels(labels, raw.names, spec, task)),
        index=span.offset + (torch.arange(len(labels)) if raw.kept is None else torch.tensor(raw.kept)),
        names=raw.names,
        spec=spec,
        skipped=raw.skipped,
    )


def _labels(labels: Array, names: tuple[str, ...] | None, spec: str, task: TaskName) -> Array:
    """Labels in the form of a task: int64, or float64 in regression."""
    if task == "regression":
        if not np.issubdtype(labels.dtype, np.number) or not np.isfinite(labels).all():
            raise DataError(f"expected finite numbers as labels of {spec!r}, found {labels.dtype}; correct the files")
        return np.array(labels, dtype=np.float64)
    if task in ("binary", "multilabel"):
        if not np.isin(labels, (0, 1)).all():
            raise DataError(f"expected labels of 0 and 1 in {spec!r} for {task}, found others; correct the files")
        return np.array(labels, dtype=np.int64)
    return _classes(labels, names, spec)


def _unit(images: Array, spec: str) -> Array:
    if np.issubdtype(images.dtype, np.integer) and images.min() >= 0 and 1 < images.max() <= 255:
        images = images.astype(np.uint8)
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images, dtype=np.float32) / np.float32(255)
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(f"expected images of {spec!r} as uint8 or floating-point, found {images.dtype}; convert them")
    low, high = float(images.min()), float(images.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # false for NaN as well
        raise DataError(
            f"expected images of {spec!r} between 0 and 1, found values from {low:g} to {high:g}; scale them, or save "
            "them as uint8"
        )
    return np.ascontiguousarray(images, dtype=np.float32).clip(0, 1)


def _classes(labels: Array, names: tuple[str, ...] | None, spec: str) -> Array:
    if np.issubdtype(labels.dtype, np.floating) and (labels % 1 == 0).all():  # whole numbers, false for NaN
        labels = labels.astype(np.int64)
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"expected labels of {spec!r} as integers, found {labels.dtype}; convert them")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (names is not None and high >= len(names)):
        wanted = "labels of at least 0" if names is None else f"labels from 0 to {len(names) - 1}"
        raise DataError(f"expected {wanted} in {spec!r}, found labels from {low} to {high}; correct the files")
    return np.array(labels, dtype=np.int64)


def choice(query: Mapping[str, str], key: str, known: tuple[str, ...], default: str | None) -> str | None:
    """The value of a key that takes one of a few words.

    Raises:
        DataError: another word.
    """
    value = query.get(key, default)
    if value is not None and value not in known:
        raise DataError(f"expected {key}={' or '.join(known)}, found {key}={value}; choose one of them")
    return value
