"""ONNX operators that slide a window over space: convolutions, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site

CONVOLUTIONS: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)
TRANSPOSED: tuple[Callable[..., Tensor], ...] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


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
    lengths = site.shape(0)[2:]
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(lengths, at.stride, size, at.dilation, strict=True)]
    before, after = at.before, at.after
    if wanted is not None or auto.startswith("SAME"):
        wanted = (wanted or [n * s for n, s in zip(lengths, at.stride, strict=True)])[-len(size) :]
        totals = [length + e - want for length, e, want in zip(full, extra, wanted, strict=True)]
        pads = same([max(total, 0) for total in totals], lower=auto != "SAME_UPPER")
        # the operator's definition gives the odd entry to the start unless the padding is SAME_UPPER
        before, after = pads[: len(size)], pads[len(size) :]
        extra = [e - min(total, 0) for e, total in zip(extra, totals, strict=True)]
    convolve = TRANSPOSED[len(size) - 1]
    # what is added at the end, beyond the last window, counts against what is cut off there
    crop = [width for low, high, e in zip(reversed(before), reversed(after), reversed(extra), strict=True)
            for width in (-low, e - high)]  # fmt: skip
    padding = [0] * len(size)
    plain = before == after and all(e < max(s, d) for e, s, d in zip(extra, at.stride, at.dilation, strict=True))

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if plain:
            return convolve(x, weight, bias, at.stride, before, extra, groups, at.dilation)
        y = F.pad(convolve(x, weight, None, at.stride, padding, padding, groups, at.dilation), crop)
        return y if bias is None else y + bias.reshape(-1, *[1] * len(size))

    return Kernel(run, (0, 1, 2) if site.has(2) else (0, 1), Reach.ROW)


OPERATORS: dict[str, Builder] = {"Conv": convolution, "ConvTranspose": transposed_convolution}
