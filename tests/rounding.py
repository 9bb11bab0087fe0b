"""Arithmetic as another processor would do it: other orders of summation, other last digits of exp and its kind.

What is exact stays exact, and the same input gives the same bits. By batch, the number of rows decides which of the two
processors computes, since libraries choose their kernels by shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

WAYS = ("other", "by-batch")
aten = torch.ops.aten


def product(function: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
    """With the terms of every sum in reverse."""
    return function(a.flip(-1), b.flip(-2 if b.dim() > 1 else -1))


def plus_product(function: Any, c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return c + product(aten.mm if function is aten.addmm.default else aten.bmm, a, b)


def total(function: Callable[..., Tensor], x: Tensor, *settings: Any, **more: Any) -> Tensor:
    return function(x.flip(list(range(x.dim()))), *settings, **more)


def over(function: Callable[..., Tensor], x: Tensor, dims: list[int] | None, *settings: Any, **more: Any) -> Tensor:
    return function(x.flip(dims or list(range(x.dim()))), dims, *settings, **more)


def convolution(function: Any, x: Tensor, w: Tensor, bias: Tensor | None, *settings: Any) -> Tensor:
    """Without groups, the channels are the terms."""
    if settings[3] or settings[5] != 1:
        return last_digit(function, x, w, bias, *settings)
    out: Tensor = function(x.flip(1), w.flip(1), None, *settings)
    return out if bias is None else out + bias.view(-1, *[1] * (out.dim() - 2))


def last_digit(function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """Up or down by the smallest step, or as it was; which of them depends on the number itself."""
    out = function(*args, **settings)
    return tuple(map(nudged, out)) if isinstance(out, tuple) else nudged(out)


def in_place(function: Callable[..., Tensor], x: Tensor) -> Tensor:
    return x.copy_(nudged(function(x)))


def nudged(x: Any) -> Any:
    if not exchangeable(x):
        return x
    bits = x.contiguous().view(torch.int32 if x.dtype == torch.float32 else torch.int64)
    rounded = (bits & 0xFF) != 0  # a number that ends in zeros is taken for an exact one
    towards = torch.where((bits * 0x9E3779B1 >> 9) & 1 == 1, math.inf, -math.inf).to(x.dtype)
    moved = rounded & ((bits * 0x85EBCA6B >> 11) & 1 == 1)
    return torch.where(moved, torch.nextafter(x, towards), x)


def exchangeable(x: Any) -> bool:
    """A tensor of numbers, and no stand-in of a tracer for one."""
    plain = type(x) in (Tensor, nn.Parameter) and not torch.jit.is_tracing()
    return plain and x.dtype in (torch.float32, torch.float64) and x.device.type == "cpu"


OTHERWISE: dict[Any, Callable[..., Any]] = {
    aten.mm.default: product, aten.bmm.default: product, aten.mv.default: product, aten.dot.default: product,
    aten.addmm.default: plus_product, aten.baddbmm.default: plus_product,
    aten.sum.default: total, aten.mean.default: total, aten.sum.dim_IntList: over, aten.mean.dim: over,
    aten.convolution.default: convolution,
}  # fmt: skip
for name in (
    "convolution_backward", "exp", "expm1", "log", "log1p", "sigmoid", "sigmoid_backward", "tanh", "tanh_backward",
    "erf", "erfinv", "gelu", "gelu_backward", "silu", "silu_backward", "mish", "softplus", "softplus_backward", "elu",
    "elu_backward", "sin", "cos", "rsqrt", "logsumexp", "_softmax", "_softmax_backward_data", "_log_softmax",
    "_log_softmax_backward_data", "linalg_vector_norm", "native_layer_norm", "native_batch_norm",
):  # fmt: skip
    OTHERWISE[getattr(aten, name).default] = last_digit
for name in ("exp_", "log_", "sigmoid_", "tanh_", "erf_"):
    OTHERWISE[getattr(aten, name).default] = in_place


class Rounding(TorchDispatchMode):
    """Every operation that rounds, done otherwise."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.by_batch = way == "by-batch"

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        otherwise = OTHERWISE.get(function)
        if otherwise is None or not exchangeable(args[0]):
            return function(*args, **kwargs)
        of = args[1] if otherwise is plus_product else args[0]
        if (self.by_batch and (len(of) if of.dim() else 0).bit_count() % 2) or (otherwise is plus_product and kwargs):
            return function(*args, **kwargs)
        return otherwise(function, *args, **kwargs)
