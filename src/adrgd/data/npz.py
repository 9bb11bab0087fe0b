"""Arrays saved by numpy."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from adrgd.data.images import Array, Raw, Span, choice
from adrgd.errors import DataError, UsageError
from adrgd.files import limits, reading

NAMINGS = (("images", "labels"), ("x", "y"))
SPLIT = ("x_{}", "y_{}")
"""As in the files of Keras, with "train" or "test"."""
CHANNELS = (1, 3, 4)
LONGEST_HEADER = 10_000


def read_npz(path: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read an .npz file with arrays `images` and `labels`, `x` and `y`, or `x_test` and `y_test` (`?split=train`)."""
    del span
    layout = choice(query, "layout", ("NHWC", "NCHW"), None)
    split = choice(query, "split", ("train", "test"), "test")
    arrays = read_arrays(path)
    for images, labels in (*NAMINGS, tuple(name.format(split) for name in SPLIT)):
        if images in arrays and labels in arrays:
            return Raw(channels_first(arrays[images], layout, str(path)), arrays[labels])
    raise DataError(
        f"expected arrays images and labels (or x and y, or x_test and y_test) in {str(path)!r}, found "
        f"{', '.join(arrays) or 'none'}; save it with these names"
    )


def read_arrays(path: Path, wanted: Sequence[str] | None = None) -> dict[str, Array]:
    """Arrays of an .npz file: those wanted, or all of them. Nothing is unpickled.

    Raises:
        DataError: the file is missing, damaged, holds Python objects, or lacks one that is wanted.
    """
    try:
        with reading.open_regular(path) as stream:
            reading.check_zip(stream, "arrays", None if wanted is None else [f"{name}.npy" for name in wanted])
            if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise ValueError("one array instead of several with names")
            with zipfile.ZipFile(stream) as archive:
                kept = [one.removesuffix(".npy") for one in archive.namelist() if one.endswith(".npy")]
                return {name: _member(archive, f"{name}.npy") for name in (kept if wanted is None else wanted)}
    except UsageError:
        raise
    except FileNotFoundError as error:
        raise DataError(
            f"expected an .npz file of arrays at {str(path)!r}, found no such file; check the path"
        ) from error
    except Exception as error:  # numpy and the archive raise errors of many kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"expected an .npz file of arrays at {str(path)!r}, found: {reason}; save it again") from error


def read_array(path: Path) -> Array:
    """The one array of an .npy file. Nothing is unpickled.

    Raises:
        DataError: the file is missing, damaged, or holds Python objects.
    """
    try:
        with reading.open_regular(path) as stream:
            size = path.stat().st_size
            promised = _promised(stream)
            if promised != size - stream.tell():
                raise ValueError(f"{size - stream.tell()} bytes, where the header promises {promised}")
            limits.check("arrays", promised)
            stream.seek(0)
            array: Array = np.lib.format.read_array(stream, allow_pickle=False)
            return array
    except UsageError:
        raise
    except Exception as error:  # numpy raises errors of many kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"expected an array of .npy at {str(path)!r}, found: {reason}; save it again") from error


def _member(archive: zipfile.ZipFile, name: str) -> Array:
    size = archive.getinfo(name).file_size
    with archive.open(name) as stream:
        promised = _promised(stream)
        if promised != size - stream.tell():
            raise ValueError(f"{size - stream.tell()} bytes in {name}, whose header promises {promised}")
    with archive.open(name) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _promised(stream: IO[bytes]) -> int:
    """The bytes that ought to follow the header of an array, read up to its end: numpy makes room for them at once."""
    version, _ = np.lib.format.read_magic(stream)
    length = int.from_bytes(stream.read(2 if version == 1 else 4), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    header = ast.literal_eval(stream.read(length).decode("latin1"))
    kind = np.lib.format.descr_to_dtype(header["descr"])
    if kind.hasobject:
        raise ValueError("Python objects, which are never unpickled (allow_pickle is off)")
    return prod(int(size) for size in header["shape"]) * kind.itemsize


def channels_first(images: Array, layout: str | None, source: str) -> Array:
    """Bring images to (N, C, H, W) from that, (N, H, W, C) or (N, H, W), and rows of numbers (N, F) to (N, 1, 1, F).

    Raises:
        DataError: another number of axes, or a shape that leaves the layout open when `layout` does not say it.
    """
    if images.ndim == 3 and layout is None:
        return images[:, None]
    if images.ndim == 2 and layout is None:
        return images[:, None, None]
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
