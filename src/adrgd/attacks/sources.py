"""Whole data sets in the place of one batch: taken in batches, whose results are joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from adrgd.data.images import Images
from adrgd.data.objects import from_object, is_source
from adrgd.errors import UsageError

T = TypeVar("T")

BATCH = 128


def over(given: Any, labels: Any, index: Any, one: Callable[[Tensor, Tensor, Tensor, bool], T]) -> T | None:
    """What comes of all batches of a data set; None where the images are a batch with labels of its own.

    Args:
        one: told images, labels and index of a batch, and whether it is the first.

    Raises:
        UsageError: labels or an index beside a data set, which has its own.
        DataError: as `adrgd.load_data`.
    """
    if not is_source(given):
        return None
    if labels is not None or index is not None:
        raise UsageError(
            f"a {type(given).__name__} brings its own labels and index, found others beside it; pass None for them"
        )
    images = from_object(given)
    starts = range(0, len(images), BATCH)
    parts = [slice(start, start + BATCH) for start in starts]
    return joined([one(images.images[at], images.labels[at], images.index[at], at.start == 0) for at in parts])


def joined(results: list[T]) -> T:
    """One result from those of several batches, field by field."""
    first: Any = results[0]
    parts = {field.name: [getattr(one, field.name) for one in results] for field in dataclasses.fields(first)}
    found: T = dataclasses.replace(
        first, **{name: torch.cat(part) if part[0] is not None else None for name, part in parts.items()}
    )
    return found


def as_images_of(given: Any) -> Images:
    """What a run takes: images that were loaded, or a data set of torch's."""
    return given if isinstance(given, Images) else from_object(given)
