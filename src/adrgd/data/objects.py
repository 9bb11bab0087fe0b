"""Images out of Python objects: a data set or a loader of torch, a list of pairs, a pair of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from adrgd.data.images import Array, Images, Raw, Span, finish
from adrgd.errors import DataError
from adrgd.files import limits
from adrgd.names import TaskName

IMAGES, LABELS = ("image", "img", "images", "pixel_values", "x"), ("label", "labels", "fine_label", "target", "y")


def is_source(given: Any) -> TypeGuard[Images | Dataset[Any] | DataLoader[Any]]:
    """Whether this brings labels along with its images."""
    return isinstance(given, Images | Dataset | DataLoader)


def from_object(given: Any, *, limit: int | None = None, offset: int = 0, task: TaskName = "classification") -> Images:
    """The images and labels of a data set.

    Args:
        given: a `Dataset` whose entries are (image, label, ...) or a dict of them; a `DataLoader` of batches of these,
            in its own order; or a pair (images, labels). Images are tensors (C, H, W) or pictures of Pillow, as bytes
            or in [0, 1].
        limit, offset, task: as in `adrgd.load_data`; labels of other forms come as a pair of arrays.

    Raises:
        DataError: it is none of these, or an entry is damaged, lacks a label, or differs in size.
    """
    if isinstance(given, Images):
        part = Span(offset, limit).within(len(given))
        return Images(given.images[part], given.labels[part], given.index[part], given.names, given.spec, given.skipped)
    span, spec = Span(offset, limit), f"{type(given).__name__} object"
    names = getattr(given, "classes", None) or getattr(getattr(given, "dataset", None), "classes", None)
    named = tuple(names) if isinstance(names, Sequence) and all(isinstance(one, str) for one in names) else None
    if isinstance(given, tuple) and len(given) == 2:
        labels = _whole(given[1], "labels") if task == "classification" else np.asarray(given[1])
        return finish(Raw(_pixels(given[0], "images"), labels, named), span, spec="the arrays", task=task)
    entries = _entries(given, span)
    images: list[Array] = []
    found: list[int] = []
    for name, entry in entries:
        image, label = _pair(entry, name)
        images.append(_pixels(image, name))
        found.append(int(_whole(label, name).reshape(-1)[0]))
        if images[-1].shape != images[0].shape or images[-1].ndim != 3:
            raise DataError(
                f"expected images (C, H, W) of one size, found shape {images[-1].shape} in {name} and "
                f"{images[0].shape} before; bring them to one size in the data set"
            )
        limits.check("arrays", len(images) * images[-1].nbytes)
    if not images:
        span.within(0, spec=spec)
    mixed = len({image.dtype for image in images}) > 1
    stacked = np.stack([image / np.float32(255) if mixed and image.dtype == np.uint8 else image for image in images])
    return finish(Raw(stacked, np.array(found), named, cut=True), span, spec=spec, task=task)


def _entries(given: Any, span: Span) -> Iterator[tuple[str, Any]]:
    """Each entry that is asked for, with what it is called in sentences."""
    stop = None if span.limit is None else span.offset + span.limit
    if isinstance(given, DataLoader):
        yield from islice(_of_batches(given), span.offset, stop)
    elif isinstance(given, IterableDataset) or not hasattr(given, "__getitem__"):
        if not isinstance(given, Iterable):
            raise DataError(f"expected a data set, a loader or a pair of arrays, found {type(given).__name__}")
        named = ((f"entry {k}", entry) for k, entry in enumerate(given))
        yield from islice(named, span.offset, stop)
    else:
        size = len(given) if hasattr(given, "__len__") else None
        positions = range(size)[span.within(size)] if size is not None else count(span.offset)
        for k in islice(positions, None if span.limit is None else span.limit):
            try:
                entry = given[k]
            except IndexError:
                return
            except Exception as error:  # whatever somebody's own data set comes upon
                raise DataError(f"expected entry {k} of the data set, found: {_reason(error)}; mend it") from error
            yield f"entry {k}", entry


def _of_batches(loader: DataLoader[Any]) -> Iterator[tuple[str, Any]]:
    at = 0
    for number, batch in enumerate(loader):
        images, labels = _pair(batch, f"batch {number}")
        if not hasattr(images, "__len__") or not hasattr(labels, "__len__") or len(images) != len(labels):
            raise DataError(f"expected images with one label each in batch {number} of the loader, found other counts")
        for image, label in zip(images, labels, strict=True):
            yield f"entry {at} (batch {number})", (image, label)
            at += 1


def _pair(entry: Any, name: str) -> tuple[Any, Any]:
    if isinstance(entry, Mapping):
        found = [next((entry[key] for key in keys if entry.get(key) is not None), None) for keys in (IMAGES, LABELS)]
        have = ", ".join(map(str, entry))
    else:
        found = list(entry[:2]) if isinstance(entry, tuple | list) else [entry, None]
        have = f"{len(entry)} parts" if isinstance(entry, tuple | list) else type(entry).__name__
    if len(found) < 2 or found[0] is None or found[1] is None:
        raise DataError(f"expected an image and a label in {name} of the data set, found {have}; return both")
    return found[0], found[1]


def _pixels(image: Any, name: str) -> Array:
    """As bytes or float32, channels first."""
    if isinstance(image, Tensor):
        return image.detach().cpu().numpy() if image.dtype == torch.uint8 else image.detach().cpu().float().numpy()
    try:
        array = np.asarray(image)
        array = array if array.dtype == np.uint8 else array.astype(np.float32)
    except (TypeError, ValueError, OSError) as error:
        raise DataError(f"expected an image in {name}, found: {_reason(error)}; return tensors (C, H, W)") from error
    if hasattr(image, "getbands"):  # a picture of Pillow, channels last
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return array


def _whole(label: Any, name: str) -> Array:
    array = np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label)
    if not array.size or array.dtype.kind not in "iu":
        raise DataError(f"expected a whole number as label in {name}, found {label!r}; return the class's number")
    return array


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
