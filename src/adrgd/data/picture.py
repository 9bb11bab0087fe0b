"""One picture, from wherever its bytes are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Self

import numpy as np
from PIL import Image

from adrgd.data.images import Array, choice
from adrgd.errors import DataError, UsageError
from adrgd.files import limits, reading

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Of the many that Pillow knows; among the others is one that starts a program."""

KEYS = ("size", "resize", "mode")


class UnreadableImageError(DataError):
    """A file that is damaged, or no image at all."""


@dataclass(frozen=True)
class Form:
    """What pictures are brought to.

    Attributes:
        mode: "L" or "RGB".
        size: pixels of a square that is cut from the centre; None for pictures as they are.
        resize: pixels of the shorter side before that; `size` unless given.
    """

    mode: str = "RGB"
    size: int | None = None
    resize: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], *, size: int | None = None, resize: int | None = None) -> Self:
        """From a spec's keys, and what stands for those that it lacks.

        Raises:
            DataError: no such mode, or sizes that are none.
        """
        mode = choice(query, "mode", ("RGB", "L"), "RGB") or "RGB"
        form = cls(mode, _pixels(query, "size", size), _pixels(query, "resize", None if "size" in query else resize))
        if form.resize is not None and (form.size is None or form.resize < form.size):
            raise DataError(f"expected resize=N with a size of at most that, found size={form.size}; correct them")
        return form


def decode(opened: Callable[[], IO[bytes]], name: str, form: Form) -> Array:
    """(C, H, W) uint8 of one picture.

    Args:
        opened: gives its bytes.
        name: what it is called in sentences.

    Raises:
        UnreadableImageError: it is damaged, too large, or no image.
        DataError: its values have more than 8 bits.
    """
    try:
        with opened() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is our own
            with Image.open(stream, formats=_known()) as file:
                limits.check("image", file.width * file.height * max(len(file.getbands()), len(form.mode)))
                deep = file.mode.startswith(("I", "F"))
                image = file.convert(form.mode)
    except UsageError:
        raise
    except Exception as error:  # Pillow raises errors of many kinds for a damaged file
        raise UnreadableImageError(f"expected an image in {name!r}, found: {error}; replace it") from error
    if deep:
        raise DataError(f"expected an image with 8 bits for each value in {name!r}, found more than 8 bits; replace it")
    if form.size is not None:
        image = _resized(image, form.resize or form.size, form.size, name)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def decode_image(path: Path, mode: str) -> Array:
    """(C, H, W) uint8 of one file, in the mode "L" or "RGB"; raises what `decode` does."""
    return decode(partial(reading.open_regular, path), str(path), Form(mode))


def image_files(folder: Path) -> list[Path]:
    """The files of a folder that have the name of an image, in order; whatever else they turn out to be.

    Raises:
        DataError: the folder cannot be listed.
    """
    return [file for file in inside(folder) if is_image(file.name)]


def is_image(name: str) -> bool:
    """Whether a file has the name of an image that is not hidden."""
    kind = Image.registered_extensions().get(Path(name).suffix.lower())
    return kind in FORMATS and not Path(name).name.startswith(".")


def inside(folder: Path) -> list[Path]:
    """What a folder holds, in order.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"expected a folder that can be listed at {str(folder)!r}, found: {error.strerror}") from error


def check_size(size: int, kind: str, what: str) -> None:
    """See that what is made of pictures stays within a limit.

    Raises:
        DataError: it does not.
    """
    try:
        limits.check(kind, size, what)
    except limits.TooLargeError as error:
        raise DataError(f"expected images that fit into memory, found that {error}") from error


@cache
def _known() -> tuple[str, ...]:
    """Those that this version of Pillow reads; AVIF is younger than the others."""
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)


def _resized(image: Image.Image, shorter: int, size: int, name: str) -> Image.Image:
    """Scale the shorter side, and cut out the centre."""
    scale = shorter / min(image.size)
    width, height = (max(shorter, round(length * scale)) for length in image.size)
    check_size(width * height * len(image.getbands()), "image", f"{name!r}, resized,")
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return scaled.crop((left, top, left + size, top + size))


def _pixels(query: Mapping[str, str], key: str, default: int | None) -> int | None:
    text = query.get(key)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise DataError(f"expected {key}=N with a positive number of pixels, found {key}={text}; correct it")
    return int(text)
