"""Images to be reconstructed: a file, a folder of files, or a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adrgd.data import kind_of, load_data
from adrgd.data.picture import decode_image, image_files
from adrgd.errors import DataError


@dataclass(frozen=True)
class Targets:
    """`images` float32 (N, C, H, W) in [0, 1], and what each is called."""

    images: Tensor
    names: tuple[str, ...]


def read_targets(spec: str, shape: tuple[int, int, int], *, limit: int | None = None) -> Targets:
    """Read images of the shape (C, H, W) that a generator makes.

    Args:
        spec: an image file, a folder of them, or a data set in one of the forms of `load_data`.
        limit: how many at most.

    Raises:
        DataError: there are none, or one cannot be read or has another size.
    """
    place = Path(spec).expanduser()
    if is_data_set(spec):
        data = load_data(spec, limit=limit)
        _check(tuple(data.images.shape[1:]), shape, spec)
        return Targets(data.images, tuple(f"{index:05d}" for index in data.index.tolist()))
    if not place.exists():
        raise DataError(f"expected an image, a folder of images or a data set such as bundled:mnist, found no {spec!r}")
    if shape[0] not in (1, 3):
        raise DataError(f"files hold images of 1 or 3 channels, but the generator makes {shape[0]}; use npz:FILE")
    files = image_files(place) if place.is_dir() else [place]
    if not files:
        raise DataError(f"expected image files in {spec!r}, found none; check the path")
    images = []
    for file in files[:limit]:
        pixels = decode_image(file, "L" if shape[0] == 1 else "RGB")
        _check(tuple(pixels.shape), shape, str(file))
        images.append(torch.from_numpy(pixels.astype(np.float32) / np.float32(255)))
    return Targets(torch.stack(images), tuple(file.stem for file in files[:limit]))


def is_data_set(spec: str) -> bool:
    """Whether targets are a data set of `load_data`, rather than an image file or a folder of them."""
    place = Path(spec).expanduser()
    return not place.is_dir() and (kind_of(spec.partition("?")[0]) is not None or (":" in spec and not place.exists()))


def shown_shape(spec: str) -> tuple[int, ...] | None:
    """The shape of an image of a data set, which a generator of rows may need; None for image files."""
    return tuple(load_data(spec, limit=1).images.shape[1:]) if is_data_set(spec) else None


def _check(found: tuple[int, ...], shape: tuple[int, int, int], where: str) -> None:
    if found != shape:
        raise DataError(
            f"the generator makes images of {shape[2]} x {shape[1]} pixels and {shape[0]} channels, found "
            f"{found[2]} x {found[1]} and {found[0]} in {where!r}; resize them, or convert their channels"
        )
