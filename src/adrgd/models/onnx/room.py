"""A limit on what a graph may ask for: what an operator of torch makes is known from shapes, before it makes it.

A few bytes of a file can stand for any amount of memory, by way of any operator that makes more than it takes:
constants of a given shape, padding, tiling, resizing, broadcasting. So the limit stands below all of them, where each
becomes calls of torch.
"""

from __future__ import annotations

from functools import cache
from itertools import zip_longest
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from adrgd.files import limits

aten = torch.ops.aten

PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1}
"""Products of matrices, and the first factor."""

POOLS = {
    aten.max_pool2d_with_indices, aten.max_pool3d_with_indices, aten.avg_pool2d, aten.avg_pool3d,
}  # fmt: skip
NORMS = {
    aten.native_batch_norm, aten._native_batch_norm_legit_no_training, aten.native_layer_norm, aten.native_group_norm,
}  # fmt: skip
"""They make as much as they take, and less beside it."""

FILLED = {aten.zeros, aten.ones, aten.full, aten.empty}
"""Made of a size alone."""

ALIKE = {
    aten.cumprod, aten.cumsum, aten.flip, aten.sort, aten.tril, aten.triu,
}  # fmt: skip
"""They make as much as they take, and places beside it; torch works some out by squares, on shapes alone as well."""

STEPPED = {aten.arange, aten.linspace, aten.range}
"""Of which fractions decide how long they are."""

WIDTH = 8
"""Bytes of a number, at most."""


class _Kind(NamedTuple):
    """What is known of an operator."""

    packet: Any
    view: bool
    makes: bool  # of nothing, on a device of choice


@cache
def _kind(func: Any) -> _Kind:
    makes = any(argument.name == "device" for argument in func._schema.arguments)
    return _Kind(func.overloadpacket, bool(func.is_view), makes)


class Room(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes that are made inside it, and the multiplications of products and convolutions.

    Inside it raises TooLargeError for an operator that goes beyond a limit, before the operator runs.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made = 0
        self.work = 0
        self.room, self.strength = limits.most("computed"), limits.most("work")

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler, which takes seconds, to keep it away from here

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        kind = _kind(func)
        if kind.view:
            return func(*args, **kwargs)
        most = _at_most(kind.packet, args)
        if most is None or self.made + WIDTH * most > self.room:
            _check(func, kind, args, kwargs, self.made)
        self.work += _work(kind.packet, args)
        if self.work > self.strength:
            limits.check("work", self.work)
        result = func(*args, **kwargs)
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, Tensor):
                self.made += one.numel() * one.element_size()
        return result


def _work(packet: Any, args: tuple[Any, ...]) -> int:
    """The multiplications of a product or a convolution."""
    if packet in PRODUCTS:
        a, b = args[PRODUCTS[packet]], args[PRODUCTS[packet] + 1]
        return int(a.numel() * b.shape[-1])
    if packet is aten.convolution:
        x, weight, transposed = args[0], args[1], args[6]
        return int((x.numel() if transposed else _convolved(*args)) * prod(weight.shape[1:]))
    return 0


def _at_most(packet: Any, args: tuple[Any, ...]) -> int | None:
    """More numbers than an operator makes, in all its results; None for one of which that cannot be said at a glance.

    torch knows exactly, but its way to tell brings in its compiler, which takes seconds to import.
    """
    first = args[0] if args else None
    if packet in PRODUCTS:
        a, b = args[PRODUCTS[packet]], args[PRODUCTS[packet] + 1]
        return int(a.numel() // max(1, a.shape[-1]) * b.shape[-1])
    if packet is aten.convolution:
        return _convolved(*args)
    if isinstance(first, list) and first and isinstance(first[0], Tensor):  # put one after the other
        return int(sum(part.numel() for part in first))
    if packet in FILLED:
        return _of_size(first)
    if not isinstance(first, Tensor):
        return None
    if packet in NORMS or packet in ALIKE:
        return 2 * first.numel()
    if packet in POOLS:
        pad = args[3] if len(args) > 3 else [0]
        ahead = first.dim() - len(args[1])
        return 2 * prod(first.shape[:ahead]) * prod(n + 2 * max(pad, default=0) + 1 for n in first.shape[ahead:])
    if packet is aten.constant_pad_nd:
        added = [before + after for before, after in zip(args[1][::2], args[1][1::2], strict=True)]
        sizes = [*reversed(first.shape)]
        return prod(max(0, n + more) for n, more in zip_longest(sizes, added, fillvalue=0))
    if packet is aten.index_select:
        return int(first.numel() // max(1, first.shape[args[1]]) * args[2].numel())
    most = first.numel()
    for arg in args[1:]:
        if isinstance(arg, Tensor):
            most *= 1 if arg.shape == first.shape else max(1, arg.numel())
        elif isinstance(arg, list) and any(isinstance(one, Tensor) for one in arg):  # indices
            most *= prod(max(1, one.numel()) for one in arg if isinstance(one, Tensor))
        elif isinstance(arg, int | list):
            most *= _of_size(arg, more=1)
        elif isinstance(arg, float) and packet in STEPPED:
            return None
    return int(4 * most)


def _of_size(sizes: Any, *, more: int = 0) -> int:
    numbers = sizes if isinstance(sizes, list | tuple) else [sizes]
    return prod(abs(size) + more for size in numbers if isinstance(size, int))


def _convolved(x: Tensor, weight: Tensor, bias: Any, stride: Any, pad: Any, dilation: Any, *rest: Any) -> int:
    transposed, extra, groups = rest[:3]
    stride, pad, dilation, extra = (
        one * (x.dim() - 2) if len(one) == 1 else one for one in (stride, pad, dilation, extra)
    )
    if transposed:
        space = [
            (n - 1) * s + d * (k - 1) + 1 + e
            for n, k, s, d, e in zip(x.shape[2:], weight.shape[2:], stride, dilation, extra, strict=False)
        ]
        return int(x.shape[0] * weight.shape[1] * groups * prod(space))
    space = [(n + 2 * p) // max(1, s) + 1 for n, p, s in zip(x.shape[2:], pad, stride, strict=False)]
    return int(x.shape[0] * weight.shape[0] * prod(space))


def _check(func: Any, kind: _Kind, args: tuple[Any, ...], kwargs: dict[str, Any], made: int) -> None:
    """See that what an operator makes is within the limit, by running it on shapes alone."""
    if kind.packet in ALIKE:
        limits.check("computed", made + args[0].numel() * WIDTH * (2 if kind.packet is aten.sort else 1))
        return
    shadow = {key: _shadow(value) for key, value in kwargs.items()}
    if kind.makes and "device" not in kwargs:
        shadow["device"] = "meta"
    try:
        result = func(*map(_shadow, args), **shadow)
    except Exception:  # its result depends on numbers, or it will fail in its own words
        return
    results = result if isinstance(result, tuple | list) else [result]
    size = sum(one.numel() * one.element_size() for one in results if isinstance(one, Tensor))
    limits.check("computed", made + size)


def _shadow(value: Any) -> Any:
    """A tensor's shape and type without its numbers."""
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    if isinstance(value, list):
        return [_shadow(part) for part in value]
    return torch.device("meta") if isinstance(value, torch.device) else value
