"""A limit on what a graph may ask for: what an operator of torch makes is known from shapes, before it makes it.

A few bytes of a file can stand for any amount of memory, by way of any operator that makes more than it takes:
constants of a given shape, padding, tiling, resizing, broadcasting. So the limit stands below all of them, where each
becomes calls of torch.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from adrgd import limits

aten = torch.ops.aten

POINTWISE = {
    aten.add, aten.sub, aten.mul, aten.div, aten.neg, aten.relu, aten.sigmoid, aten.tanh, aten.clone, aten._to_copy,
    aten._unsafe_view, aten.sum, aten.mean, aten.clamp, aten.sign, aten.native_batch_norm,
    aten._native_batch_norm_legit_no_training, aten.leaky_relu, aten._softmax,
}  # fmt: skip
"""Operators whose result holds no more numbers than their arguments broadcast together, or fewer."""

PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1}
"""Products of matrices, and the first factor."""

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

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        kind = _kind(func)
        if not kind.view:
            size, work = _bound(kind.packet, args)
            if size is None or self.made + WIDTH * size > self.room:
                self.made += _exactly(func, kind, args, kwargs, self.made)
            else:
                self.made += WIDTH * size
            self.work += work
            if self.work > self.strength:
                limits.check("work", self.work)
        return func(*args, **kwargs)


def _bound(packet: Any, args: tuple[Any, ...]) -> tuple[int | None, int]:
    """How many numbers an operator makes at most, None where that takes a closer look; and its multiplications."""
    first = args[0] if args else None
    if packet in PRODUCTS:
        a, b = args[PRODUCTS[packet]], args[PRODUCTS[packet] + 1]
        return a.numel() // max(1, a.shape[-1]) * b.shape[-1], a.numel() * b.shape[-1]
    if packet is aten.convolution:
        return _convolved(*args)
    if packet in POINTWISE and isinstance(first, Tensor):
        size = first.numel()
        for other in args[1:]:
            if isinstance(other, Tensor) and other.shape != first.shape and other.numel() > 1:
                size *= other.numel()
        return size, 0
    return None, 0


def _convolved(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, pad: Any, dilation: Any, *rest: Any
) -> tuple[int, int]:
    transposed, extra, groups = rest[:3]
    if transposed:
        space = [
            (n - 1) * s + d * (k - 1) + 1 + e
            for n, k, s, d, e in zip(x.shape[2:], weight.shape[2:], stride, dilation, extra, strict=True)
        ]
        channels = weight.shape[1] * groups
        return x.shape[0] * channels * prod(space), x.numel() * prod(weight.shape[1:])
    space = [(n + 2 * p) // s + 1 for n, p, s in zip(x.shape[2:], pad, stride, strict=True)]
    size = x.shape[0] * weight.shape[0] * prod(space)
    return size, size * prod(weight.shape[1:])


def _exactly(func: Any, kind: _Kind, args: tuple[Any, ...], kwargs: dict[str, Any], made: int) -> int:
    """The bytes that an operator makes, found by running it on shapes; an error if that is beyond the limit."""
    shadow = {key: _shadow(value) for key, value in kwargs.items()}
    if kind.makes and "device" not in kwargs:
        shadow["device"] = "meta"
    try:
        result = func(*map(_shadow, args), **shadow)
    except Exception:  # its result depends on numbers, or it will fail in its own words
        return 0
    results = result if isinstance(result, tuple | list) else [result]
    size = sum(one.numel() * one.element_size() for one in results if isinstance(one, Tensor))
    limits.check("computed", made + size)
    return size


def _shadow(value: Any) -> Any:
    """A tensor's shape and type without its numbers."""
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    if isinstance(value, list):
        return [_shadow(part) for part in value]
    return torch.device("meta") if isinstance(value, torch.device) else value
