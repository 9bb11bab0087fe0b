"""Image files in a sub-folder for each class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from adrgd import limits, reading
from adrgd.data.images import Array, Raw, Span, choice
from adrgd.errors import DataError, UsageError, warn

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Of the many that Pillow knows; among the others is one that starts a program."""

NAMED = 5  # skipped files that a warning names; the others it counts


class UnreadableImageError(DataError):
    """A file that is damaged, or no image at all."""


def read_folder(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the images asked for, in the order of their classes' names and then of their own; decode no others.

    Damaged files are skipped, with a warning that names them.

    Raises:
        DataError: no folder, no images, none that can be read, or images of several sizes or of more than 8 bits.
    """
    mode, size = choice(query, "mode", ("RGB", "L"), "RGB") or "RGB", _size(query)
    if not folder.is_dir():
        raise DataError(f"expected a folder at {str(folder)!r}, found none; check the path")
    classes = sorted(path for path in _inside(folder) if path.is_dir() and not path.name.startswith("."))
    files = [(file, label) for label, place in enumerate(classes) for file in image_files(place)]
    if not files:
        raise DataError(f"expected a sub-folder of images for each class in {str(folder)!r}, found none; add images")
    chosen = files[span.within(len(files), spec=f"folder:{folder}")]
    images: list[Array] = []
    kept: list[int] = []
    skipped: list[str] = []
    for at, (file, _) in enumerate(chosen):
        try:
            images.append(decode_image(file, mode, size))
        except UnreadableImageError as error:
            if len(skipped) + 1 == len(chosen):
                raise
            skipped.append(str(error))
            continue
        kept.append(at)
        _check_size(len(chosen) * images[-1].nbytes, "arrays", f"all of {str(folder)!r}")
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"expected images of one size, found {_pixels(images[0])} in {str(chosen[kept[0]][0])!r} and "
                f"{_pixels(images[-1])} in {str(file)!r}; add ?size=N to bring them to N x N pixels"
            )
    if skipped:
        warn(f"{len(skipped)} of {len(chosen)} images are skipped: {_named(skipped)}")
    labels = np.array([chosen[at][1] for at in kept], dtype=np.int64)
    return Raw(
        np.stack(images), labels, names=tuple(place.name for place in classes), cut=True, kept=tuple(kept),
        skipped=tuple(skipped),
    )  # fmt: skip


def image_files(folder: Path) -> list[Path]:
    """The files of a folder that have the name of an image, in order; whatever else they turn out to be.

    Raises:
        DataError: the folder cannot be listed.
    """
    readable = {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS}
    return [file for file in _inside(folder) if file.suffix.lower() in readable and not file.name.startswith(".")]


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"expected a folder that can be listed at {str(folder)!r}, found: {error.strerror}") from error


def _named(skipped: list[str]) -> str:
    more = len(skipped) - NAMED
    return "; ".join(skipped[:NAMED]) + (f"; and {more} more" if more > 0 else "")


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
        UnreadableImageError: it is damaged, too large, or no image.
        DataError: its values have more than 8 bits.
    """
    try:
        with reading.open_regular(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is our own
            with Image.open(stream, formats=FORMATS) as file:
                limits.check("image", file.width * file.height * max(len(file.getbands()), len(mode)))
                deep = file.mode.startswith(("I", "F"))
                image = file.convert(mode)
    except UsageError:
        raise
    except Exception as error:  # Pillow raises errors of many kinds for a damaged file
        raise UnreadableImageError(f"expected an image in {str(path)!r}, found: {error}; replace it") from error
    if deep:
        raise DataError(
            f"expected an image with 8 bits for each value in {str(path)!r}, found more than 8 bits; replace it"
        )
    if size is not None:
        image = _resized(image, size, path)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _resized(image: Image.Image, size: int, path: Path) -> Image.Image:
    """Scale the shorter side to `size` and cut out the centre."""
    scale = size / min(image.size)
    width, height = (max(size, round(length * scale)) for length in image.size)
    _check_size(width * height * len(image.getbands()), "image", f"{str(path)!r}, resized,")
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return scaled.crop((left, top, left + size, top + size))


def _check_size(size: int, kind: str, what: str) -> None:
    try:
        limits.check(kind, size, what)
    except limits.TooLargeError as error:
        raise DataError(f"expected images that fit into memory, found that {error}") from error


def _pixels(image: Array) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"
