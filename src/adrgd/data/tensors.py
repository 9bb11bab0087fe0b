"""Tensors saved by torch or as safetensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from adrgd.data.images import Raw, Span, choice
from adrgd.data.npz import NAMINGS, channels_first
from adrgd.errors import DataError, UsageError
from adrgd.files import limits, reading


def read_tensors(path: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read a dict with `images` and `labels` (or `x` and `y`), or a pair of tensors; nothing else is unpickled.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    del span
    layout = choice(query, "layout", ("NHWC", "NCHW"), None)
    content = _content(path)
    found: Any = None
    if isinstance(content, Mapping):
        pairs = ((content.get(images), content.get(labels)) for images, labels in NAMINGS)
        found = next((pair for pair in pairs if all(isinstance(part, Tensor) for part in pair)), None)
    elif isinstance(content, list | tuple) and len(content) == 2 and all(isinstance(part, Tensor) for part in content):
        found = content
    if found is None:
        what = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise DataError(
            f"expected tensors images and labels (or x and y), or a pair of tensors, in {str(path)!r}, found "
            f"{what or 'nothing'}; save them so"
        )
    images, labels = found
    return Raw(channels_first(_plain(images, path).numpy(), layout, str(path)), _plain(labels, path).numpy())


def _plain(tensor: Tensor, path: Path) -> Tensor:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
        raise DataError(f"expected dense tensors in {str(path)!r}, found another kind; save them with .to_dense()")
    if tensor.is_floating_point():
        limits.check("arrays", 4 * tensor.numel())
        return tensor.detach().float()
    return tensor.detach()


def _content(path: Path) -> Any:
    try:
        with reading.open_regular(path) as file:
            reading.check_size(file, "arrays")
            reading.check_zip(file, "arrays")
            if path.suffix == ".safetensors":
                return load_file(path)
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"expected only tensors in {str(path)!r}, found pickled objects, which are never loaded, or another kind "
            "of file; save a dict of tensors with torch.save"
        ) from error
    except UsageError:
        raise
    except Exception as error:  # a damaged file makes its reader raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"expected a file of tensors at {str(path)!r}, found: {reason}; save it again") from error
