"""SVHN's cropped digits, as its authors publish them and torchvision keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adrgd.data.images import Raw, Span, choice
from adrgd.data.matlab import read_matlab
from adrgd.errors import DataError


def read_svhn(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read test_32x32.mat, or that of `?split=train` or `extra`; the digit 0 is class 10 there, and 0 here.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    del span
    split = choice(query, "split", ("train", "test", "extra"), "test")
    path = folder / f"{split}_32x32.mat"
    arrays = read_matlab(path, ("X", "y"))
    images, labels = arrays["X"], arrays["y"]
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != np.uint8:
        raise DataError(
            f"expected bytes of shape (32, 32, 3, N) as X of {str(path)!r}, found {images.dtype} of shape "
            f"{images.shape}; get it again"
        )
    labels = labels.reshape(-1).astype(np.int64)
    return Raw(images.transpose(3, 2, 0, 1), np.where(labels == 10, 0, labels), names=tuple("0123456789"))
