"""MNIST's own format: IDX files, a header of big-endian numbers in front of the bytes of an array."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from adrgd.data.images import Array, Raw, Span, choice
from adrgd.errors import DataError
from adrgd.files import reading

UNSIGNED_BYTES = 0x08


def read_mnist(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read a folder with the four files of MNIST, or of a data set in the same files; torchvision keeps them in
    raw, below the name of the data set."""
    del span
    prefix = {"train": "train", "test": "t10k"}[choice(query, "split", ("train", "test"), "test") or "test"]
    folder = next((one for one in (folder / "MNIST" / "raw", folder / "raw") if one.is_dir()), folder)
    images, labels = read_idx(_find(folder, prefix, "images", 3), 3), read_idx(_find(folder, prefix, "labels", 1), 1)
    return Raw(images[:, None], labels, names=tuple("0123456789"))


def read_idx(path: Path, rank: int) -> Array:
    """The array in an IDX file of unsigned bytes with `rank` axes.

    Raises:
        DataError: the file cannot be read, is of another kind, or ends early.
    """
    try:
        content = reading.read_bytes(path, "arrays")
    except OSError as error:
        raise DataError(f"expected a readable file at {str(path)!r}, found: {error}; get it again") from error
    header = 4 + 4 * rank
    if len(content) < header or content[:4] != bytes((0, 0, UNSIGNED_BYTES, rank)):
        raise DataError(
            f"expected an IDX file of bytes with {rank} axes at {str(path)!r}, found something else; get it again"
        )
    sizes = struct.unpack(f">{rank}I", content[4:header])
    if len(content) - header != prod(sizes):
        raise DataError(
            f"expected {prod(sizes)} bytes after the header of {str(path)!r}, found {len(content) - header}; get the "
            "file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(sizes)


def _find(folder: Path, prefix: str, kind: str, rank: int) -> Path:
    names = [f"{prefix}-{kind}{dot}idx{rank}-ubyte{ending}" for dot in "-." for ending in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"expected the file {names[0]} (or .gz) in {str(folder)!r}, found none; check the folder")
