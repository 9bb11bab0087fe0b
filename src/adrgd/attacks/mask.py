"""Which pixels an attack may change, from a file or an array."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adrgd.data.npz import read_array
from adrgd.data.picture import decode_image
from adrgd.domain import Domain, Masked
from adrgd.domain.masked import as_mask
from adrgd.errors import DataError, DomainError


def masked(domain: Domain, mask: Any, x: Tensor) -> Domain:
    """The domain around images x (B, ...) in which only the pixels of a mask may change.

    Args:
        mask: a file, or truth values, that broadcast to one image; what is not zero may change.

    Raises:
        DataError: the file cannot be read.
        DomainError: it has another shape, or leaves nothing to change.
    """
    free = _read(str(mask)) if isinstance(mask, str | Path) else as_mask(mask)
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
    found = read_array(path) if path.suffix == ".npy" else decode_image(path, "L")[0]
    try:
        return torch.from_numpy(np.array(found != 0, dtype=bool))
    except (TypeError, ValueError):
        raise DataError(f"expected numbers in the mask {file!r}, found {found.dtype}; save it as numbers") from None
