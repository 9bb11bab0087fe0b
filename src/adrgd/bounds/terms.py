"""How many numbers a call adds up: what its rounding is measured by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from adrgd.bounds.words import PRODUCTS, SUMS


def terms(
    name: str, moving: list[Tensor], constant: list[Tensor], made: list[Tensor], args: Any, kwargs: dict[str, Any]
) -> tuple[int, int]:
    """How many numbers are added up in one of the results, and in one of the transposed call's, at most."""
    if name in PRODUCTS:
        return _factors(name, moving, [one for one in constant if one.ndim > 1], args, kwargs)
    if not made:
        return 0, 0
    sizes = [max(1, one.numel()) for one in (moving[0], made[0])]
    most = max(sizes) // min(sizes)
    if name in ("cumsum", "index_select") or (name == "__getitem__" and constant):
        most = max(sizes)
    elif name == "pad":
        most += int((1 + sum(map(abs, args[1] if len(args) > 1 else kwargs["pad"]))) ** 2)
    elif name.startswith("avg_pool"):
        window: Any = args[1] if len(args) > 1 else kwargs["kernel_size"]
        widest = int(max(window)) if isinstance(window, tuple | list) else int(window)
        most += int(widest ** (moving[0].ndim - 1))
    elif name in SUMS or name == "interpolate":
        most *= 8
    return most, most


def _factors(
    name: str, moving: list[Tensor], constant: list[Tensor], args: Any, kwargs: dict[str, Any]
) -> tuple[int, int]:
    """The same of a product."""
    if name.startswith("conv") and constant:
        # weights (out, in of the group, places), or those of a transposed convolution (in, out of the group, places)
        shape, size = constant[0].shape, constant[0].numel()
        stride = option(args, kwargs, 3, "stride", 1)
        strides = tuple(stride) if isinstance(stride, tuple | list) else (stride,)
        strides = strides * (len(shape) - 2) if len(strides) == 1 else strides
        apart = math.prod(-(-length // step) for length, step in zip(shape[2:], strides, strict=True))
        if name.startswith("conv_transpose"):
            return shape[0] * apart, size // shape[0]
        return size // shape[0], shape[0] * apart
    if name == "linear" and constant:
        return constant[0].shape[1], constant[0].shape[0]
    if name in ("matmul", "mm", "__matmul__") and constant and args[-1] is constant[-1]:
        return constant[-1].shape[-2], constant[-1].shape[-1]
    most = max(
        (one.numel() // max(1, min(one.shape)) for one in constant),
        default=max((one.shape[-1] for one in moving if one.ndim), default=1),
    )
    return most, most


def tensors(values: Any) -> Iterator[Tensor]:
    """All tensors in a nest of tuples, lists and dicts."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value)


def option(args: Any, kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)
