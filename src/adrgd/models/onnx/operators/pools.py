"""ONNX operators that pool: the largest number of a window, or its average, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import INT64
from adrgd.models.onnx.operators.axes import reshaped
from adrgd.models.onnx.operators.windows import CONVOLUTIONS, Window, window

MAXIMA: tuple[Callable[..., Tensor], ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
AVERAGES: tuple[Callable[..., Tensor], ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


def max_pool(site: Site) -> Kernel:
    at, ceil = window(site, site.attribute("kernel_shape", [])), bool(site.attribute("ceil_mode", 0))
    pool = MAXIMA[len(at.size) - 1]
    padding, pairs = _pool_padding(at)
    if len(site.node.outputs) > 1 and site.node.outputs[1]:
        return _with_places(site, at, ceil, padding, pairs)

    def run(x: Tensor) -> Tensor:
        whole, x = x.dtype, x if x.is_floating_point() else x.double()
        x = F.pad(x, pairs, value=-torch.inf) if pairs else x
        return pool(x, at.size, at.stride, padding, at.dilation, ceil_mode=ceil).to(whole)

    return Kernel(run, (0,), Reach.ROW)


def _with_places(site: Site, at: Window, ceil: bool, padding: list[int], pairs: list[int]) -> Kernel:
    """The largest numbers, and their places in the whole tensor of the file."""
    if pairs:
        raise site.unsupported("for the places of the largest numbers with uneven padding")
    pool = MAXIMA[len(at.size) - 1]
    shape, kind = site.shape(0), site.kind()
    planes = torch.arange(prod(shape[:2])).reshape(*shape[:2], *[1] * len(at.size)) * prod(shape[2:])
    by_columns = bool(site.attribute("storage_order", 0))

    def run(x: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        values, places = pool(x, at.size, at.stride, padding, at.dilation, ceil_mode=ceil, return_indices=True)
        if by_columns:
            rows, columns = shape[-2:]
            places = places % columns * rows + places // columns
        return values, (places + first).to(values.dtype)

    return Kernel(run, (0, planes), Reach.WHOLE, (kind, INT64))


def average_pool(site: Site) -> Kernel:
    at, ceil = window(site, site.attribute("kernel_shape", [])), bool(site.attribute("ceil_mode", 0))
    counted = bool(site.attribute("count_include_pad", 0))
    pool = AVERAGES[len(at.size) - 1]
    padding, pairs = _pool_padding(at)
    if all(width == 1 for width in at.dilation) and not pairs:
        return Kernel(lambda x: pool(x, at.size, at.stride, padding, ceil, counted), (0,), Reach.ROW)
    counts = _counts(site, at, ceil=ceil)
    space = [before + n + after if counted else n for n, before, after in _extents(site, at)]
    ones, over = torch.ones(1, 1, *space, dtype=torch.float64), _unpadded(at) if counted else at
    return Kernel(lambda x, one: _sums(x, at, counts) / _sums(one, over, counts), (0, ones), Reach.ROW)


def lp_pool(site: Site) -> Kernel:
    at, ceil = window(site, site.attribute("kernel_shape", [])), bool(site.attribute("ceil_mode", 0))
    p, counts = float(site.attribute("p", 2)), _counts(site, at, ceil=ceil)
    return Kernel(lambda x: _sums(x.abs().pow(p), at, counts).pow(1 / p), (0,), Reach.ROW)


def _extents(site: Site, at: Window) -> list[tuple[int, int, int]]:
    return list(zip(site.shape(0)[2:], at.before, at.after, strict=True))


def _unpadded(at: Window) -> Window:
    return replace(at, before=[0] * len(at.size), after=[0] * len(at.size))


def _counts(site: Site, at: Window, *, ceil: bool) -> list[int]:
    """How many windows there are along each axis."""
    counts = []
    for axis, (n, before, after) in enumerate(_extents(site, at)):
        room = n + before + after - (at.size[axis] - 1) * at.dilation[axis] - 1
        count = (-(-room // at.stride[axis]) if ceil else room // at.stride[axis]) + 1
        beyond = ceil and (count - 1) * at.stride[axis] >= n + before  # it would begin behind everything
        counts.append(count - beyond)
    return counts


def _sums(x: Tensor, at: Window, wanted: list[int]) -> Tensor:
    """The sum of each window, of whatever spacing and padding, by a convolution with ones."""
    pairs = []
    for axis in reversed(range(len(at.size))):
        covered = (wanted[axis] - 1) * at.stride[axis] + (at.size[axis] - 1) * at.dilation[axis] + 1
        pairs += [at.before[axis], covered - x.shape[2 + axis] - at.before[axis]]
    x = F.pad(x, pairs)
    planes = x.reshape(x.shape[0] * x.shape[1], 1, *x.shape[2:])
    ones = x.new_ones(1, 1, *at.size)
    sums = CONVOLUTIONS[len(at.size) - 1](planes, ones, None, at.stride, 0, at.dilation)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def _pool_padding(at: Window) -> tuple[list[int], list[int]]:
    """Padding for the pool itself, or else for F.pad: torch's pools pad both ends alike, by half a window at most."""
    if at.even and all(2 * width <= size for width, size in zip(at.before, at.size, strict=True)):
        return at.before, []
    return [0] * len(at.size), at.pairs


def over_space(run: Callable[[Tensor, list[int]], Tensor]) -> Builder:
    """One number of each channel."""

    def build(site: Site) -> Kernel:
        space = _space(site)
        return Kernel(lambda x: run(x, space), (0,), Reach.BEHIND)

    return build


def _space(site: Site) -> list[int]:
    """The axes behind those of examples and channels, counted from the end; to torch, none of them would mean all."""
    if site.rank() < 3:
        raise site.unsupported(f"on an input of {site.rank()} axes, none of which is one of space")
    return list(range(2 - site.rank(), 0))


def global_lp_pool(site: Site) -> Kernel:
    p, space = float(site.attribute("p", 2)), _space(site)
    return Kernel(lambda x: torch.linalg.vector_norm(x, p, space, keepdim=True), (0,), Reach.BEHIND)


def max_unpool(site: Site) -> Kernel:
    """Numbers put back to their places; those count in the smallest tensor that pooling could have come from."""
    size, stride = site.attribute("kernel_shape", []), site.attribute("strides", None) or [1] * len(site.shape(0)[2:])
    pads = site.attribute("pads", None) or [0] * (2 * len(size))
    ends = [low + high for low, high in zip(pads[: len(size)], pads[len(size) :], strict=True)]
    inner, rank = site.shape(0), site.rank()
    space = [(n - 1) * s + k - end for n, s, k, end in zip(inner[2:], stride, size, ends, strict=True)]
    least, wanted = [*inner[:2], *space], site.integers(2) or [*inner[:2], *space]
    pairs = [
        width for low, high in zip(reversed(space), reversed(wanted[2:]), strict=True) for width in (0, high - low)
    ]

    def run(x: Tensor, places: Tensor) -> Tensor:
        flat, at = (reshaped(one, rank, [prod(inner)]) for one in (x, places))
        empty = flat.new_zeros(*flat.shape[:-1], prod(least))
        return F.pad(reshaped(empty.scatter(-1, at.long().expand_as(flat), flat), 1, least), pairs)

    return Kernel(run, (0, 1), Reach.BEHIND)


OPERATORS: dict[str, Builder] = {
    "AveragePool": average_pool,
    "GlobalAveragePool": over_space(lambda x, space: torch.mean(x, space, keepdim=True)),
    "GlobalLpPool": global_lp_pool,
    "GlobalMaxPool": over_space(lambda x, space: x.amax(space, keepdim=True)),
    "LpPool": lp_pool,
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
}
