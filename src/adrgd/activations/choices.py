"""Choices between numbers: the larger or smaller of two, and the largest or smallest along some axes.

max(a, b) = b + relu(a - b) and min(a, b) = a - relu(a - b) are hinges of the difference. The largest of many is
softened like a max-pooling whose one window covers the axes: by the chance of each entry to be the largest under noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adrgd.activations.found import Found, Pull
from adrgd.activations.hinges import RELU


@dataclass(frozen=True)
class Largest:
    """The largest entry along `axes` of h, kept as axes of extent one."""

    axes: tuple[int, ...]

    is_relu = False
    is_flat = False
    name = "amax"

    def value(self, h: Tensor) -> Tensor:
        return h.amax(self.axes, keepdim=True)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Weights:
        """exp(h / scale), normalised: scale^2 is twice the mean of (s / 1.702)^2, as for `MaxPool`."""
        scale = (left / inverse).square_().expand_as(h).mean(self.axes, keepdim=True).mul_(2).sqrt_()
        entries = (h - h.amax(self.axes, keepdim=True)).div_(scale.clamp_min_(torch.finfo(h.dtype).tiny))
        weights = entries.exp_()
        return Weights(weights.div_(weights.sum(self.axes, keepdim=True)), self.axes)

    def over(self, axis: Callable[[int], int | None]) -> Largest:
        """The same where axis k of h has moved to axis(k)."""
        moved = tuple(axis(k) for k in self.axes)
        return Largest(tuple(k for k in moved if k is not None))


@dataclass(frozen=True)
class Weights:
    """The slope of a softened `Largest`: the weight of each entry."""

    weights: Tensor
    axes: tuple[int, ...]

    def push(self, difference: Tensor) -> Tensor:
        return (self.weights * difference).sum(self.axes, keepdim=True)

    def pull(self, gradient: Tensor) -> Tensor:
        return self.weights * gradient


def larger(a: Tensor, b: Tensor) -> Found | None:
    """max(a, b), entry by entry."""
    if not _numbers(a, b):
        return None

    def spread(gradient: Tensor, pull: Pull) -> tuple[Tensor, ...]:
        first = pull(gradient)
        return first.sum_to_size(a.shape), (gradient - first).sum_to_size(b.shape)

    return Found(a - b, RELU, inputs=(a, b), answer=lambda out: b + out, spread=spread)


def smaller(a: Tensor, b: Tensor) -> Found | None:
    """min(a, b), entry by entry."""
    if not _numbers(a, b):
        return None

    def spread(gradient: Tensor, pull: Pull) -> tuple[Tensor, ...]:
        second = pull(gradient)
        return (gradient - second).sum_to_size(a.shape), second.sum_to_size(b.shape)

    return Found(a - b, RELU, inputs=(a, b), answer=lambda out: a - out, spread=spread)


def along(h: Tensor, dim: Any, keepdim: bool, *, sign: int = 1, indices: bool = False) -> Found | None:
    """The largest (sign 1) or smallest (sign -1) entries of h along one or more dimensions."""
    dims = tuple(dim) if isinstance(dim, list | tuple) else (dim,)
    if not _numbers(h) or not dims or not all(isinstance(k, int) and -h.dim() <= k < h.dim() for k in dims):
        return None
    axes = tuple(sorted(k % h.dim() for k in dims))

    def answer(out: Tensor) -> Tensor:
        return sign * (out if keepdim else out.squeeze(axes))

    def spread(gradient: Tensor, pull: Pull) -> tuple[Tensor, ...]:
        for k in () if keepdim else axes:
            gradient = gradient.unsqueeze(k)
        return (pull(gradient),)

    if not indices:
        return Found(sign * h, Largest(axes), inputs=(h,), answer=answer, spread=spread)
    return Found(
        sign * h, Largest(axes), inputs=(h,), answer=answer, spread=spread, part=lambda returned: returned[0],
        whole=lambda returned, tensor: type(returned)((tensor, returned[1])),
    )  # fmt: skip


def _numbers(*tensors: Any) -> bool:
    return all(isinstance(t, Tensor) and t.is_floating_point() for t in tensors)


def _of_two(find: Callable[[Tensor, Tensor], Found | None]) -> Callable[..., Found | None]:
    def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        return _bound(lambda input, other: find(input, other), args, kwargs)

    return recognise


def _along(sign: int) -> Callable[..., Found | None]:
    def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        return _bound(lambda input, dim=(), keepdim=False: along(input, dim, keepdim, sign=sign), args, kwargs)

    return recognise


def _largest_of(sign: int) -> Callable[..., Found | None]:
    """torch.max and torch.min: of two tensors, or along one dimension with indices; over all entries is no layer."""

    def find(input: Tensor, dim: Any = None, keepdim: bool = False, **named: Any) -> Found | None:
        other = named.get("other", dim)
        if isinstance(other, Tensor):
            return larger(input, other) if sign > 0 else smaller(input, other)
        return along(input, dim, keepdim, sign=sign, indices=True) if isinstance(dim, int) else None

    return lambda args, kwargs: _bound(find, args, kwargs)


def _bound(find: Callable[..., Found | None], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
    """Call `find` as torch's function was called; what it does not take, such as out=, is not recognised."""
    named = {"input" if key == "self" else key: value for key, value in kwargs.items()}
    try:
        return find(*args, **named)
    except TypeError:
        return None


_aten = torch.ops.aten

CHOICES: dict[Any, Callable[..., Found | None]] = (
    dict.fromkeys((torch.maximum, Tensor.maximum, torch.fmax, Tensor.fmax, _aten.maximum.default), _of_two(larger))
    | dict.fromkeys((torch.minimum, Tensor.minimum, torch.fmin, Tensor.fmin, _aten.minimum.default), _of_two(smaller))
    | dict.fromkeys((torch.amax, Tensor.amax, _aten.amax.default), _along(1))
    | dict.fromkeys((torch.amin, Tensor.amin, _aten.amin.default), _along(-1))
    | dict.fromkeys((torch.max, Tensor.max, _aten.max.dim, _aten.max.other), _largest_of(1))
    | dict.fromkeys((torch.min, Tensor.min, _aten.min.dim, _aten.min.other), _largest_of(-1))
)
"""Recognisers by the object that a TorchFunctionMode receives."""
