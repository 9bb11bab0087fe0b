"""Labelled images from the files people keep them in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from adrgd import specs
from adrgd.data.cifar import read_cifar10, read_cifar100
from adrgd.data.folder import read_folder
from adrgd.data.idx import read_mnist
from adrgd.data.images import Images, Raw, Span, finish
from adrgd.data.npz import read_arrays, read_npz
from adrgd.data.picture import KEYS
from adrgd.errors import DataError
from adrgd.names import TaskName

__all__ = ["Images", "kind_of", "load_data"]

logger = logging.getLogger(__name__)

FORMS = (
    "bundled:mnist, mnist:FOLDER, cifar10:FOLDER, cifar100:FOLDER, svhn:FOLDER, imagenet:FOLDER, folder:FOLDER, "
    "npz:FILE, pt:FILE, parquet:FILE or FOLDER, hf-datasets:FOLDER, webdataset:FILE or FOLDER, or a file by its ending"
)


def load_data(spec: Any, *, limit: int | None = None, offset: int = 0, task: TaskName = "classification") -> Images:
    """Load labelled images.

    Args:
        spec: where they are, in one of the forms below; or a `Dataset` or `DataLoader` of torch, or a pair of arrays
            (images, labels), bytes or in [0, 1], which are gathered:
            `bundled:mnist`, the first 500 test images of MNIST;
            `mnist:FOLDER`, IDX files, also compressed, with `?split=train` or `?split=test` (the default);
            `cifar10:FOLDER`, cifar10.npz or the original batches, `cifar100:FOLDER` (`?labels=coarse`) and
            `svhn:FOLDER` (extra `[data]`), with `?split=` likewise;
            `npz:FILE` and `pt:FILE`, arrays or tensors `images` and `labels` (or `x` and `y`): uint8, or floating-point
            in [0, 1], with `?layout=NHWC` or `?layout=NCHW` where the shape leaves that open;
            `folder:FOLDER`, a sub-folder of image files for each class; `imagenet:FOLDER`, ILSVRC2012 with the labels
            of published networks; `parquet:FILE` or a folder of them, and `hf-datasets:FOLDER`, of `save_to_disk`
            (`?split=`, `?image=COLUMN&label=COLUMN`); `webdataset:FILE.tar` or a folder of them. All of these take
            `?size=N` to cut N x N pixels out of the centre, `?resize=M` to bring the shorter side to M before that (N
            unless given), and `?mode=L` for grey instead of RGB. Damaged images are skipped, named in a warning, and
            kept in mind in `Images.skipped`. Of files whose ending says what they are, the kind in front can be left
            out, as of a folder of folders.
        limit: how many images at most; all of them by default.
        offset: how many images of the data set to pass over first.
        task: what the labels are: classes; 0 and 1 ("binary", and (N, L) of them "multilabel"); (N, H, W) classes of
            pixels ("segmentation"); numbers ("regression").

    Raises:
        DataError: the spec has none of these forms, or the files are missing, damaged, empty or out of range.

    Examples:
        >>> import adrgd
        >>> data = adrgd.load_data("bundled:mnist", limit=3)
        >>> data.images.shape, data.labels.tolist()
        (torch.Size([3, 1, 28, 28]), [7, 2, 1])
    """
    if offset < 0 or (limit is not None and limit < 1):
        raise DataError(f"expected offset >= 0 and limit >= 1, found offset {offset} and limit {limit}; correct them")
    if not isinstance(spec, str):
        from adrgd.data.objects import from_object  # a data set of torch's takes a while to be imported

        return from_object(spec, limit=limit, offset=offset, task=task)
    base, query = specs.split_spec(spec, error=DataError)
    known = kind_of(base)
    kind, colon, place = (base if known is None or base.startswith(f"{known}:") else f"{known}:{base}").partition(":")
    if kind not in _READERS or not colon or not place:
        raise DataError(f"expected images as one of {FORMS}; found {spec!r}{specs.closest(kind, _READERS)}; choose one")
    keys, read = _READERS[kind]
    specs.only_keys(query, keys, spec=spec, error=DataError)
    span = Span(offset, limit)
    path = Path(place) if kind == "bundled" else Path(place).expanduser()
    try:
        found = finish(read(path, query, span), span, spec=spec, task=task)
    except OSError as error:  # a name that is too long, a folder in which one may not look
        raise DataError(f"expected images in {spec!r}, found: {error.strerror or error}; check the path") from error
    logger.info("data %s: %d images of shape %s", spec, len(found), tuple(found.images.shape[1:]))
    return found


def kind_of(base: str) -> str | None:
    """The kind of a data set, by what stands in front, its ending, or being a folder of folders; None if none shows."""
    kind, colon, _ = base.partition(":")
    if colon and kind in _READERS:
        return kind
    path = Path(base).expanduser()
    if (known := ENDINGS.get(path.suffix.lower())) is not None:
        return known
    return "folder" if path.is_dir() and any(one.is_dir() for one in path.iterdir()) else None


def _read_bundled(name: Path, query: Mapping[str, str], span: Span) -> Raw:
    del query, span  # a bundled set is small and takes no keys
    if str(name) != "mnist":
        raise DataError(f"expected bundled:mnist, found bundled:{name}{specs.closest(str(name), ['mnist'])}; choose it")
    arrays = read_arrays(specs.BUNDLED / "mnist-test-500.npz", ("images", "labels"))
    return Raw(arrays["images"][:, None], arrays["labels"], names=tuple("0123456789"))


ENDINGS = {".npz": "npz", ".pt": "pt", ".pth": "pt", ".parquet": "parquet", ".tar": "webdataset"}
TABLE = ("split", "image", "label")
Reader = Callable[[Path, Mapping[str, str], Span], Raw]


def _later(module: str, name: str) -> Reader:
    """A reader whose libraries are imported when it is asked for."""

    def read(path: Path, query: Mapping[str, str], span: Span) -> Raw:
        reader: Reader = getattr(import_module(f"adrgd.data.{module}"), name)
        return reader(path, query, span)

    return read


_READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "bundled": ((), _read_bundled),
    "mnist": (("split",), read_mnist),
    "cifar10": (("split",), read_cifar10),
    "cifar100": (("split", "labels"), read_cifar100),
    "svhn": (("split",), _later("svhn", "read_svhn")),
    "imagenet": (("split", *KEYS), _later("imagenet", "read_imagenet")),
    "npz": (("layout", "split"), read_npz),
    "pt": (("layout",), _later("tensors", "read_tensors")),
    "folder": (KEYS, read_folder),
    "parquet": ((*TABLE, *KEYS), _later("parquet", "read_parquet")),
    "hf-datasets": ((*TABLE, *KEYS), _later("arrow", "read_saved")),
    "webdataset": (KEYS, _later("webdataset", "read_webdataset")),
}
