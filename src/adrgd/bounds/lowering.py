"""Calls that are no activation of single numbers, written with affine maps and curves: each of them exactly.

max(a, b) = b + relu(a - b); a b = ((a + b)^2 - (a - b)^2) / 4; softmax_i = 1 / sum_j exp(x_j - x_i).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from adrgd.activations import RELU, MaxPool, PiecewiseLinear
from adrgd.activations.choices import Largest
from adrgd.bounds.curves import EXP, LOG, NAMED, RECIPROCAL, RSQRT, SQUARE, Shape, power
from adrgd.bounds.errors import NoBoundsError

Bend = Callable[[Shape, Tensor], Tensor]
"""Applies a curve to a tensor of any shape, rows first, as a layer of the network."""


def largest(bend: Bend, h: Tensor, axis: int) -> Tensor:
    """The largest along one axis, which is kept; in rounds of pairs."""
    while (size := h.shape[axis]) > 1:
        half = size // 2
        first, second = h.narrow(axis, 0, half), h.narrow(axis, half, half)
        won = second + bend(RELU, first - second)
        h = torch.cat([won, h.narrow(axis, 2 * half, 1)], axis) if size % 2 else won
    return h


def pooled(bend: Bend, h: Tensor, pool: MaxPool) -> Tensor:
    """Max-pooling; the entries beyond the edge repeat one of their own window."""
    windows = pool._windows(h)
    pairs = [w for k in reversed(range(len(pool.size))) for w in (pool.padding[k], windows.after[k])]
    if any(pairs):
        if any(step > 1 for step in pool.dilation):
            raise NoBoundsError("no bounds are known for max_pool with both padding and dilation")
        h = torch.nn.functional.pad(h, pairs, mode="replicate")
    return largest(bend, torch.stack(list(windows._views(h)), 1), 1)[:, 0]


def activation(bend: Bend, phi: object, h: Tensor) -> Tensor | None:
    """What an activation makes of h (B, ...), where it has no curve of its own; None where nothing is known."""
    if isinstance(phi, MaxPool):
        return pooled(bend, h, phi)
    if isinstance(phi, Largest):
        for axis in phi.axes:
            h = largest(bend, h, axis)
        return h
    if isinstance(phi, PiecewiseLinear):  # slopes of channels
        out = h * phi.slope + phi.offset
        for at, jump in zip(phi.breaks, phi.jumps, strict=True):
            out = out + jump * bend(RELU, h - at)
        return out
    return None


def product(bend: Bend, a: Tensor, b: Tensor) -> Tensor:
    """a b, entry by entry."""
    if a is b:
        return bend(SQUARE, a)
    shape = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]
    a, b = a.expand(shape), b.expand(shape)
    both = bend(SQUARE, torch.stack([a + b, a - b], 1))
    return (both[:, 0] - both[:, 1]) / 4


def matrix_product(bend: Bend, a: Tensor, b: Tensor) -> Tensor:
    """a b, both depending on the input: (..., n, k) and (..., k, m)."""
    return product(bend, a.unsqueeze(-1), b.unsqueeze(-3)).sum(-2)


def softmax(bend: Bend, x: Tensor, axis: int) -> Tensor:
    """With the entry itself left out of its sum, where it is one."""
    x = x.movedim(axis, -1)
    size = x.shape[-1]
    apart = (x.unsqueeze(-2) - x.unsqueeze(-1)).flatten(-2)
    others = [i * size + j for i in range(size) for j in range(size) if i != j]
    terms = bend(EXP, apart.index_select(-1, torch.tensor(others))) if others else apart * 0
    total = terms.reshape(*x.shape, max(1, size - 1)).sum(-1) + 1
    return bend(RECIPROCAL, total).movedim(-1, axis)


def logsumexp(bend: Bend, x: Tensor, axis: int) -> Tensor:
    """Along one axis, which is kept."""
    return bend(LOG, bend(EXP, x).sum(axis, keepdim=True))


def layer_norm(bend: Bend, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """Mean zero and variance one along the axes."""
    centred = x - x.mean(axes, keepdim=True)
    return product(bend, centred, bend(RSQRT, bend(SQUARE, centred).mean(axes, keepdim=True) + eps).expand_as(x))


def function(
    bend: Bend, name: str, varies: Callable[[Tensor], bool], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Tensor | None:
    """What a call of torch makes of tensors that depend on the input; None where it is left as it is."""
    plain = name.strip("_")
    if name.endswith("_") and not name.startswith("__"):
        return None  # what is changed in place may be looked at again
    args = args or tuple(kwargs[key] for key in ("input", "other", "exponent", "mat2") if key in kwargs)
    if plain in NAMED:
        return bend(NAMED[plain], args[0])
    moving = [isinstance(one, Tensor) and varies(one) for one in args[:2]]
    if plain in ("pow", "float_power") and moving == [True, False]:
        exponent = float(args[1])
        return bend(power(exponent), args[0]) if exponent != 1 else args[0] * 1
    if plain in ("mul", "multiply", "rmul") and moving == [True, True]:
        return product(bend, *args[:2])
    if plain in ("div", "divide", "true_divide", "truediv", "rdiv", "rtruediv") and len(moving) == 2:
        above, below = (args[1], args[0]) if plain in ("rdiv", "rtruediv") else args[:2]
        if isinstance(below, Tensor) and varies(below) and not kwargs.get("rounding_mode"):
            inverse = bend(RECIPROCAL, below)
            return product(bend, above, inverse) if isinstance(above, Tensor) and varies(above) else above * inverse
    if plain in ("matmul", "bmm", "mm") and moving == [True, True] and min(args[0].ndim, args[1].ndim) >= 2:
        return matrix_product(bend, *args[:2])
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if plain in ("softmax", "log_softmax") and isinstance(axis, int):
        return softmax(bend, args[0], axis) if plain == "softmax" else args[0] - logsumexp(bend, args[0], axis)
    if plain == "logsumexp" and isinstance(axis, int):
        found = logsumexp(bend, args[0], axis)
        return found if kwargs.get("keepdim", len(args) > 2 and args[2]) else found.squeeze(axis)
    if plain == "layer_norm":
        given = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | dict(kwargs)
        out = layer_norm(bend, given["input"], tuple(range(-len(given["normalized_shape"]), 0)), given.get("eps", 1e-5))
        out = out if given.get("weight") is None else out * given["weight"]
        return out if given.get("bias") is None else out + given["bias"]
    return None
