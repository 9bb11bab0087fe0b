"""ONNX operators that slide a window over space: convolutions and pools, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site

CONVOLUTIONS: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)
TRANSPOSED: tuple[Callable[..., Tensor], ...] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
MAXIMA: tuple[Callable[..., Tensor], ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
AVERAGES: tuple[Callable[..., Tensor], ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


@dataclass(frozen=True)
class Window:
    """How a window moves: one entry for each spatial axis."""

    size: list[int]
    stride: list[int]
    dilation: list[int]
    before: list[int]
    after: list[int]

    @property
    def even(self) -> bool:
        """Whether both ends of every axis are padded alike, which is all that torch's own arguments can say."""
        return self.before == self.after

    @property
    def pairs(self) -> list[int]:
        """The padding as F.pad takes it: last axis first."""
        return [width for pair in zip(reversed(self.before), reversed(self.after), strict=True) for width in pair]


def window(site: Site, size: list[int]) -> Window:
    """Read a node's window, its automatic padding worked out for the size of its input."""
    space = site.shape(0)[2:]
    if not 1 <= len(space) <= 3:
        raise site.unsupported(f"on an input with {len(space)} spatial axes")
    stride = site.attribute("strides", None) or [1] * len(space)
    dilation = site.attribute("dilations", None) or [1] * len(space)
    pads, auto = site.attribute("pads", None) or [0] * (2 * len(space)), site.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max((-(-length // s) - 1) * s + (k - 1) * d + 1 - length, 0)
            for length, k, s, d in zip(space, size, stride, dilation, strict=True)
        ]
        pads = same(totals, lower=auto == "SAME_LOWER")
    elif auto == "VALID":
        pads = [0] * (2 * len(space))
    return Window(size, stride, dilation, pads[: len(space)], pads[len(space) :])


def same(totals: list[int], *, lower: bool) -> list[int]:
    """Divide total widths over both ends; the odd entry goes to the end, or to the start for `lower`."""
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return large + small if lower else small + large


def convolution(site: Site) -> Kernel:
    shape = site.shape(1)
    at, groups = window(site, site.attribute("kernel_shape", None) or list(shape[2:])), site.attribute("group", 1)
    convolve = CONVOLUTIONS[len(at.size) - 1]
    padding, pairs = (at.before, []) if at.even else ([0] * len(at.size), at.pairs)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        x = F.pad(x, pairs) if pairs else x
        return convolve(x, weight, bias, stride=at.stride, padding=padding, dilation=at.dilation, groups=groups)

    return Kernel(run, (0, 1, 2) if site.has(2) else (0, 1), Reach.ROW)


def transposed_convolution(site: Site) -> Kernel:
    size = site.attribute("kernel_shape", None) or list(site.shape(1)[2:])
    at, groups = window(site, size), site.attribute("group", 1)
    extra = site.attribute("output_padding", None) or [0] * len(size)
    wanted, auto = site.attribute("output_shape", None), site.attribute("auto_pad", "NOTSET")
    before, after = at.before, at.after
    if wanted is not None or auto.startswith("SAME"):
        lengths = site.shape(0)[2:]
        wanted = wanted or [n * s for n, s in zip(lengths, at.stride, strict=True)]
        full = [
            (n - 1) * s + e + (k - 1) * d + 1
            for n, s, e, k, d in zip(lengths, at.stride, extra, size, at.dilation, strict=True)
        ]
        totals = [max(length - want, 0) for length, want in zip(full, wanted, strict=True)]
        # the operator's definition gives the odd entry to the start unless the padding is SAME_UPPER
        pads = same(totals, lower=auto != "SAME_UPPER")
        before, after = pads[: len(size)], pads[len(size) :]
    convolve = TRANSPOSED[len(size) - 1]
    even = before == after
    padding = before if even else [0] * len(size)
    crop = [-width for pair in zip(reversed(before), reversed(after), strict=True) for width in pair]

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = convolve(x, weight, bias, at.stride, padding, extra, groups, at.dilation)
        return y if even else F.pad(y, crop)

    return Kernel(run, (0, 1, 2) if site.has(2) else (0, 1), Reach.ROW)


def max_pool(site: Site) -> Kernel:
    at, ceil = window(site, site.attribute("kernel_shape", [])), bool(site.attribute("ceil_mode", 0))
    pool = MAXIMA[len(at.size) - 1]
    padding, pairs = _pool_padding(at)

    def run(x: Tensor) -> Tensor:
        x = F.pad(x, pairs, value=-torch.inf) if pairs else x
        return pool(x, at.size, at.stride, padding, at.dilation, ceil_mode=ceil)

    return Kernel(run, (0,), Reach.ROW)


def average_pool(site: Site) -> Kernel:
    at, ceil = window(site, site.attribute("kernel_shape", [])), bool(site.attribute("ceil_mode", 0))
    if any(width != 1 for width in at.dilation):
        raise site.unsupported("with dilations")
    counted = bool(site.attribute("count_include_pad", 0))
    pool = AVERAGES[len(at.size) - 1]
    padding, pairs = _pool_padding(at)
    if not pairs:
        return Kernel(lambda x: pool(x, at.size, at.stride, padding, ceil, counted), (0,), Reach.ROW)
    if ceil:
        raise site.unsupported("with uneven padding and rounding up")

    def run(x: Tensor) -> Tensor:
        sums = pool(F.pad(x, pairs), at.size, at.stride)
        return sums if counted else sums / pool(F.pad(torch.ones_like(x), pairs), at.size, at.stride)

    return Kernel(run, (0,), Reach.ROW)


def _pool_padding(at: Window) -> tuple[list[int], list[int]]:
    """Padding for the pool itself, or else for F.pad: torch's pools pad both ends alike, by half a window at most."""
    if at.even and all(2 * width <= size for width, size in zip(at.before, at.size, strict=True)):
        return at.before, []
    return [0] * len(at.size), at.pairs


def global_average_pool(site: Site) -> Kernel:
    space = list(range(2, len(site.shape(0))))
    return Kernel(lambda x: torch.mean(x, space, keepdim=True), (0,), Reach.ROW)


OPERATORS: dict[str, Builder] = {
    "AveragePool": average_pool,
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "GlobalAveragePool": global_average_pool,
    "MaxPool": max_pool,
}
