"""Image files in a sub-folder for each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from adrgd.data.images import Array, Raw, Span, choice
from adrgd.errors import DataError


def read_folder(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the images asked for, in the order of their classes' names and then of their own; decode no others."""
    mode, size = choice(query, "mode", ("RGB", "L"), "RGB") or "RGB", _size(query)
    if not folder.is_dir():
        raise DataError(f"expected a folder at {str(folder)!r}, found none; check the path")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    readable = Image.registered_extensions()
    files = [
        (file, label)
        for label, place in enumerate(classes)
        for file in sorted(place.iterdir())
        if file.suffix.lower() in readable and not file.name.startswith(".")
    ]
    if not files:
        raise DataError(f"expected a sub-folder of images for each class in {str(folder)!r}, found none; add images")
    chosen = files[span.within(len(files), spec=f"folder:{folder}")]
    images: list[Array] = []
    for file, _ in chosen:
        images.append(decode_image(file, mode, size))
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"expected images of one size, found {_pixels(images[0])} in {str(chosen[0][0])!r} and "
                f"{_pixels(images[-1])} in {str(file)!r}; add ?size=N to bring them to N x N pixels"
            )
    labels = np.array([label for _, label in chosen], dtype=np.int64)
    return Raw(np.stack(images), labels, names=tuple(place.name for place in classes), cut=True)


def _size(query: Mapping[str, str]) -> int | None:
    text = query.get("size")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise DataError(f"expected size=N with a positive number of pixels, found size={text}; correct it")
    return int(text)


def decode_image(path: Path, mode: str, size: int | None = None) -> Array:
    """(C, H, W) uint8 of one file, in the mode "L" or "RGB", its shorter side brought to `size`.

    Raises:
        DataError: it is no such image.
    """
    try:
        with Image.open(path) as file:
            if file.mode.startswith(("I", "F")):
                raise ValueError("more than 8 bits for each value")
            image = file.convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"expected an image with 8 bits for each value in {str(path)!r}, found: {error}; replace it"
        ) from error
    if size is not None:
        image = _resized(image, size)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _resized(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to `size` and cut out the centre."""
    scale = size / min(image.size)
    width, height = (max(size, round(length * scale)) for length in image.size)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return scaled.crop((left, top, left + size, top + size))


def _pixels(image: Array) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"
