"""CIFAR-10, as arrays in one file or as the batches that its authors publish, and CIFAR-100 as these."""

from __future__ import annotations

import codecs
import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adrgd.data.images import Array, Raw, Span, choice
from adrgd.data.npz import read_arrays
from adrgd.errors import DataError
from adrgd.files import reading

T = TypeVar("T")

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}

_ARRAY = object()  # stands for the class, which a pickle names but has no need to call


class _Bytes:
    """What a pickle makes of an array: an empty one first, then filled; numpy's own could be filled with anything."""

    def __init__(self, kind: object, shape: object, code: object) -> None:
        if kind is not _ARRAY or shape != (0,):
            raise pickle.UnpicklingError("it makes an array in a way of its own")
        self.array: Array = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[Any, tuple[int, ...], Any, bool, bytes]) -> None:
        _, shape, kind, _, content = state
        if not isinstance(kind, _Kind) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it holds an array of something else than bytes")
        self.array = np.frombuffer(content, np.uint8).reshape(shape)


class _Kind:
    """The type of an array's numbers: bytes."""

    def __init__(self, code: object, *rest: object) -> None:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"it holds an array of {code!r}")

    def __setstate__(self, state: object) -> None:
        """The order of bytes and the like, of which single bytes have none."""


# what a pickle of byte strings and arrays needs; numpy's name for the third has moved between its versions
ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): _Bytes,
    ("numpy._core.multiarray", "_reconstruct"): _Bytes,
    ("_codecs", "encode"): codecs.encode,
}


def read_cifar10(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read cifar10.npz (x_train, y_train, x_test, y_test; NHWC bytes) or the batches in a folder."""
    split = choice(query, "split", ("train", "test"), "test") or "test"
    packed = folder / "cifar10.npz"
    if packed.is_file():
        arrays = read_arrays(packed, (f"x_{split}", f"y_{split}"))
        images = arrays[f"x_{split}"]
        if images.shape[1:] != (32, 32, 3):
            raise DataError(
                f"expected images of shape (32, 32, 3) in {str(packed)!r}, found {images.shape[1:]}; get it again"
            )
        return Raw(images.transpose(0, 3, 1, 2), arrays[f"y_{split}"], names=NAMES)
    wanted = BATCHES[split]
    for place in (folder, folder / "cifar-10-batches-py"):
        if (place / wanted[0]).is_file():
            return _read_batches([place / name for name in wanted], span)
    raise DataError(f"expected cifar10.npz or {wanted[0]} in {str(folder)!r}, found neither; check the folder")


def read_cifar100(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the files train or test and meta, in a folder or in its cifar-100-python; `?labels=coarse` for the twenty
    groups of classes."""
    del span
    split = choice(query, "split", ("train", "test"), "test") or "test"
    which = choice(query, "labels", ("fine", "coarse"), "fine")
    for place in (folder, folder / "cifar-100-python"):
        if (place / split).is_file() and (place / "meta").is_file():
            images, labels = _read_batch(place / split, f"{which}_labels".encode(), "CIFAR-100")
            return Raw(images, labels, names=_names(place / "meta", f"{which}_label_names".encode()))
    raise DataError(
        f"expected the files {split} and meta of CIFAR-100 in {str(folder)!r}, found none; check the folder"
    )


def _read_batches(paths: list[Path], span: Span) -> Raw:
    del span
    parts = [_read_batch(path) for path in paths]
    images = np.concatenate([images for images, _ in parts])
    return Raw(images, np.concatenate([labels for _, labels in parts]), names=NAMES)


def _read_batch(path: Path, labels: bytes = b"labels", kind: str = "CIFAR-10") -> tuple[Array, Array]:
    def taken(content: Any) -> tuple[Array, Array]:
        return content[b"data"].array.reshape(-1, 3, 32, 32), np.asarray(content[labels], dtype=np.int64)

    return _read(path, f"a batch of {kind}", taken)


def _names(path: Path, key: bytes) -> tuple[str, ...]:
    def taken(content: Any) -> tuple[str, ...]:
        return tuple(name.decode("ascii") for name in content[key])

    return _read(path, "the names of CIFAR-100's classes", taken)


def _read(path: Path, what: str, taken: Callable[[Any], T]) -> T:
    """What is taken from the content of a pickle."""
    try:
        return taken(_ArraysOnly(io.BytesIO(reading.read_bytes(path, "arrays")), encoding="bytes").load())
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(
            f"expected {what} in {str(path)!r}, found a file that cannot be read as one ({error}); get it again"
        ) from error


class _ArraysOnly(pickle._Unpickler):
    """Reads pickles of arrays in plain containers, and refuses to import anything else, so no code can run.

    Written in Python, for the one in C makes room for whatever number of memos a file names.
    """

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it refers to {module_name}.{global_name}")
        return ADMITTED[module_name, global_name]
