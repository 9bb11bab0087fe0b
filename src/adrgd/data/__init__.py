"""Labelled images from the files people keep them in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from adrgd import specs
from adrgd.data.cifar import read_cifar10
from adrgd.data.folder import read_folder
from adrgd.data.idx import read_mnist
from adrgd.data.images import Images, Raw, Span, finish
from adrgd.data.npz import read_arrays, read_npz
from adrgd.errors import DataError

__all__ = ["Images", "load_data"]

logger = logging.getLogger(__name__)

FORMS = "bundled:mnist, mnist:FOLDER, cifar10:FOLDER, npz:FILE, folder:FOLDER"


def load_data(spec: str, *, limit: int | None = None, offset: int = 0) -> Images:
    """Load labelled images.

    Args:
        spec: where they are, in one of these forms:
            `bundled:mnist`, the first 500 test images of MNIST;
            `mnist:FOLDER`, IDX files, also compressed, with `?split=train` or `?split=test` (the default);
            `cifar10:FOLDER`, cifar10.npz or the original batches, with `?split=` likewise;
            `npz:FILE`, arrays `images` and `labels` (or `x` and `y`): uint8, or floating-point in [0, 1], with
            `?layout=NHWC` or `?layout=NCHW` where the shape leaves that open;
            `folder:FOLDER`, a sub-folder of image files for each class, with `?size=N` to resize the shorter side to N
            pixels and cut out the centre, and `?mode=L` for grey instead of RGB; damaged files are skipped, named in a
            warning, and kept in mind in `Images.skipped`.
        limit: how many images at most; all of them by default.
        offset: how many images of the data set to pass over first.

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
    base, query = specs.split_spec(spec, error=DataError)
    kind, colon, place = base.partition(":")
    if kind not in _READERS or not colon or not place:
        raise DataError(f"expected images as one of {FORMS}; found {spec!r}{specs.closest(kind, _READERS)}; choose one")
    keys, read = _READERS[kind]
    specs.only_keys(query, keys, spec=spec, error=DataError)
    span = Span(offset, limit)
    path = Path(place) if kind == "bundled" else Path(place).expanduser()
    try:
        found = finish(read(path, query, span), span, spec=spec)
    except OSError as error:  # a name that is too long, a folder in which one may not look
        raise DataError(f"expected images in {spec!r}, found: {error.strerror or error}; check the path") from error
    logger.info("data %s: %d images of shape %s", spec, len(found), tuple(found.images.shape[1:]))
    return found


def _read_bundled(name: Path, query: Mapping[str, str], span: Span) -> Raw:
    del query, span  # a bundled set is small and takes no keys
    if str(name) != "mnist":
        raise DataError(f"expected bundled:mnist, found bundled:{name}{specs.closest(str(name), ['mnist'])}; choose it")
    arrays = read_arrays(specs.BUNDLED / "mnist-test-500.npz", ("images", "labels"))
    return Raw(arrays["images"][:, None], arrays["labels"], names=tuple("0123456789"))


Reader = Callable[[Path, Mapping[str, str], Span], Raw]

_READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "bundled": ((), _read_bundled),
    "mnist": (("split",), read_mnist),
    "cifar10": (("split",), read_cifar10),
    "npz": (("layout",), read_npz),
    "folder": (("size", "mode"), read_folder),
}
