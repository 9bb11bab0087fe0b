"""ONNX operators that make one number of many along some axes, or of all so far."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site

Reduce = Callable[[Tensor, list[int], bool], Tensor]


def reduction(reduce: Reduce, *, listed_since: int = 18, exact: bool = False) -> Builder:
    """A reduction over axes.

    Args:
        listed_since: the opset in which the axes became an input.
        exact: it takes whole numbers as they are.
    """

    def build(site: Site) -> Kernel:
        given = site.attribute_or_integers("axes", 1, listed_since)
        keep = bool(site.attribute("keepdims", 1))
        if not given and site.attribute("noop_with_empty_axes", 0):
            return Kernel(lambda x: reduce(x.unsqueeze(-1), [-1], False), (0,), Reach.POINT)
        axes = [site.from_end(axis) for axis in given] if given else list(range(-site.rank(), 0))
        if not axes:
            return Kernel(lambda x: reduce(x.unsqueeze(-1), [-1], False), (0,), Reach.BEHIND)

        def run(x: Tensor) -> Tensor:
            return reduce(x if exact or x.is_floating_point() else x.double(), axes, keep)

        return Kernel(run, (0,), Reach.BEHIND)

    return build


def extreme(x: Tensor, axes: list[int], keep: bool, *, sign: int) -> Tensor:
    if x.dtype is torch.bool:
        x = x.to(torch.uint8)
    if any(x.shape[axis] == 0 for axis in axes):  # the most extreme number that there is stands for none
        pairs = [0, 0] * x.ndim
        for axis in axes:
            pairs[2 * (-1 - axis) + 1] = x.shape[axis] == 0
        x = F.pad(x, pairs, value=-sign * torch.inf if x.is_floating_point() else float(sign < 0))
    return x.amax(axes, keepdim=keep) if sign > 0 else x.amin(axes, keepdim=keep)


def product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in axes:
        x = torch.prod(x, axis, keepdim=True)
    return x if keep else x.squeeze(axes)


def running(cumulate: Callable[[Tensor, int], Tensor], start: float) -> Builder:
    """All numbers so far, in either direction, with or without the one itself."""

    def build(site: Site) -> Kernel:
        given = site.integers(1)
        if not given:
            raise site.unsupported("without an axis")
        axis = site.from_end(given[0])
        exclusive, reverse = bool(site.attribute("exclusive", 0)), bool(site.attribute("reverse", 0))

        def run(x: Tensor) -> Tensor:
            x = x.flip(axis) if reverse else x
            if exclusive:
                before = x.narrow(axis, 0, x.shape[axis] - 1)
                x = F.pad(before, [0, 0] * (-1 - axis) + [1, 0], value=start)
            y = cumulate(x, axis)
            return y.flip(axis) if reverse else y

        return Kernel(run, (0,), Reach.BEHIND)

    return build


OPERATORS: dict[str, Builder] = {
    "CumProd": running(torch.cumprod, 1.0),
    "CumSum": running(torch.cumsum, 0.0),
    "ReduceL1": reduction(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "ReduceL2": reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keepdim=keep)),
    "ReduceLogSum": reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": reduction(lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep)),
    "ReduceMax": reduction(partial(extreme, sign=1), exact=True),
    "ReduceMean": reduction(lambda x, axes, keep: torch.mean(x, axes, keepdim=keep)),
    "ReduceMin": reduction(partial(extreme, sign=-1), exact=True),
    "ReduceProd": reduction(product, exact=True),
    "ReduceSum": reduction(lambda x, axes, keep: torch.sum(x, axes, keepdim=keep), listed_since=13, exact=True),
    "ReduceSumSquare": reduction(lambda x, axes, keep: (x * x).sum(axes, keepdim=keep), exact=True),
}
