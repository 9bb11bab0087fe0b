"""Arrays saved by numpy."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from adrgd.data.images import Array, Raw, Span, choice
from adrgd.errors import DataError

NAMINGS = (("images", "labels"), ("x", "y"))
CHANNELS = (1, 3, 4)


def read_npz(path: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read an .npz file with arrays `images` and `labels`, or `x` and `y`."""
    del span
    layout = choice(query, "layout", ("NHWC", "NCHW"), None)
    arrays = read_arrays(path)
    for images, labels in NAMINGS:
        if images in arrays and labels in arrays:
            return Raw(channels_first(arrays[images], layout, str(path)), arrays[labels])
    raise DataError(
        f"expected arrays images and labels (or x and y) in {str(path)!r}, found {', '.join(arrays) or 'none'}; save "
        "it with these names"
    )


def read_arrays(path: Path, wanted: Sequence[str] | None = None) -> dict[str, Array]:
    """Arrays of an .npz file: those wanted, or all of them. Nothing is unpickled.

    Raises:
        DataError: the file is missing, damaged, holds Python objects, or lacks one that is wanted.
    """
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("one array instead of several with names")
            return {name: file[name] for name in (file.files if wanted is None else wanted)}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"expected an .npz file of arrays at {str(path)!r}, found: {reason}; save it again") from error


def channels_first(images: Array, layout: str | None, source: str) -> Array:
    """Bring images to (N, C, H, W) from that, (N, H, W, C) or (N, H, W).

    Raises:
        DataError: another number of axes, or a shape that leaves the layout open when `layout` does not say it.
    """
    if images.ndim == 3 and layout is None:
        return images[:, None]
    if images.ndim != 4:
        raise DataError(f"expected images of {source!r} with four axes, found shape {images.shape}; reshape them")
    if layout is None:
        first, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
        if first == last:
            raise DataError(
                f"expected a shape that shows which axis of the images of {source!r} is the channels, found "
                f"{images.shape}; add ?layout=NHWC or ?layout=NCHW"
            )
        layout = "NCHW" if first else "NHWC"
    return images if layout == "NCHW" else images.transpose(0, 3, 1, 2)
