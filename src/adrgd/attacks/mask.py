"""Which pixels an attack may change, from a file or an array."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adrgd.domain import Domain, Masked
from adrgd.errors import DataError, DomainError
from adrgd.reading import open_regular


def masked(domain: Domain, mask: Any, x: Tensor) -> Domain:
    """The domain around images x (B, ...) in which only the pixels of a mask may change.

    Args:
        mask: a file, or truth values, that broadcast to one image; what is not zero may change.

    Raises:
        DataError: the file cannot be read.
        DomainError: it has another shape, or leaves nothing to change.
    """
    free = _read(str(mask)) if isinstance(mask, str | Path) else torch.as_tensor(mask) != 0
    try:
        free = free.broadcast_to(x.shape[1:])
    except RuntimeError:
        raise DomainError(
            f"the mask has shape {tuple(free.shape)}; expected one that broadcasts to an image's {tuple(x.shape[1:])}"
        ) from None
    if not free.any():
        raise DomainError("the mask leaves nothing to change: all of it is zero; set some of it")
    return Masked(domain, free, x)


@lru_cache(maxsize=4)
def _read(file: str) -> Tensor:
    """An array of .npy, or a grey picture."""
    path = Path(file).expanduser()
    try:
        with open_regular(path) as stream:
            if path.suffix == ".npy":
                found: Any = np.load(stream, allow_pickle=False)
            else:
                with Image.open(stream) as picture:
                    found = np.asarray(picture.convert("L"))
    except Exception as error:  # pictures and arrays raise errors of many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"expected a mask as .npy or a picture at {file!r}, found: {reason}; save it again") from error
    return torch.from_numpy(np.array(found != 0))
