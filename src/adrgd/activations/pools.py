"""Max-poolings under other names: to a size of output, and with the places of the choices beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.found import Found
from adrgd.activations.pooling import MaxPool
from adrgd.activations.recognise import RECOGNISERS

Recognise = Callable[[tuple[Any, ...], Mapping[str, Any]], Found | None]


def _adaptive(axes: int, *, indices: bool) -> Recognise:
    """Windows of one size each, where the output's size divides the input's."""

    def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        named = dict(zip(("input", "output_size"), args, strict=False)) | dict(kwargs)
        h, wanted = named["input"], named["output_size"]
        if not isinstance(h, Tensor) or not h.is_floating_point() or h.dim() <= axes:
            return None
        extents = h.shape[-axes:]
        sizes = [wanted] * axes if isinstance(wanted, int) else [wanted[min(k, len(wanted) - 1)] for k in range(axes)]
        counts = [extent if size is None else size for extent, size in zip(extents, sizes, strict=True)]
        if any(count < 1 or extent % count for extent, count in zip(extents, counts, strict=True)):
            return None
        window = tuple(extent // count for extent, count in zip(extents, counts, strict=True))
        return _found(h, MaxPool(window, window, (0,) * axes, (1,) * axes, False), indices=indices)

    return recognise


def _with_indices(plain: Callable[..., Any]) -> Recognise:
    def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        found = plain(args, {key: value for key, value in kwargs.items() if key != "return_indices"})
        return None if found is None else _found(found[0], found[1], indices=True)

    return recognise


def _found(h: Tensor, pool: MaxPool, *, indices: bool) -> Found:
    if not indices:
        return Found(h, pool)
    return Found(h, pool, part=lambda returned: returned[0], whole=lambda returned, tensor: (tensor, returned[1]))


POOLS: dict[Any, Recognise] = {}
for _axes in (1, 2, 3):
    POOLS[getattr(F, f"adaptive_max_pool{_axes}d")] = _adaptive(_axes, indices=False)
    POOLS[getattr(F, f"adaptive_max_pool{_axes}d_with_indices")] = _adaptive(_axes, indices=True)
    POOLS[getattr(F, f"max_pool{_axes}d_with_indices")] = _with_indices(RECOGNISERS[getattr(F, f"max_pool{_axes}d")])
POOLS[torch.ops.aten.max_pool2d_with_indices.default] = _with_indices(RECOGNISERS[F.max_pool2d])
POOLS[torch.ops.aten.adaptive_max_pool2d.default] = _adaptive(2, indices=True)
