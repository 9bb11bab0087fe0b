"""ONNX operators on numbers of few bits: rounding to them with the slope of stairs, and products of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import FLOAT, FLOATING, RANGES, UINT8, shortened
from adrgd.models.onnx.operators.products import multiply
from adrgd.models.onnx.operators.windows import convolution

INT32 = 6


def spread(site: Site, axis: int, block: int) -> Callable[[Tensor], Tensor]:
    """How the scales of axes or of blocks are laid out over the tensor that they belong to."""
    rank, sizes, wanted = site.rank(), site.shape(1), site.shape(0)
    if len(sizes) == 1 and sizes != (1,) and sizes != wanted[axis : axis + 1]:
        raise site.unsupported(f"with {sizes[0]} scales for an axis of {list(wanted[axis : axis + 1])}")

    def run(scale: Tensor) -> Tensor:
        if scale.ndim == 1 and scale.numel() > 1:
            return scale.reshape(-1, *[1] * (rank - 1 - axis))
        if block and scale.ndim == rank:
            return scale.repeat_interleave(block, axis).narrow(axis, 0, site.shape(0)[axis])
        return scale.reshape(()) if scale.numel() == 1 else scale

    return run


def rounded(x: Tensor, kind: int) -> Tensor:
    low, high = RANGES[kind]
    return torch.clamp(torch.round(x), min=float(low), max=float(high))


def quantize(site: Site) -> Kernel:
    kind = site.kind(2) if site.has(2) else site.attribute("output_dtype", 0) or UINT8
    rank = site.rank()
    axis = site.axis(site.attribute("axis", 1), rank) if rank and site.shape(1) not in ((), (1,)) else 0
    over = spread(site, axis, int(site.attribute("block_size", 0)))
    saturate = bool(site.attribute("saturate", 1))
    if kind not in RANGES and kind not in FLOATING:
        raise site.unsupported("to numbers of another type")

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        x = x / over(scale)
        if kind in FLOATING:
            return shortened(x, kind, saturate=saturate)
        low, high = RANGES[kind]
        whole = torch.round(x)
        return torch.clamp(whole if zero is None else whole + over(zero), min=float(low), max=float(high))

    return Kernel(run, site.given(), Reach.WHOLE if site.varies(1) or site.varies(2) else Reach.BEHIND, (kind,))


def dequantize(site: Site) -> Kernel:
    rank = site.rank()
    axis = site.axis(site.attribute("axis", 1), rank) if rank and site.shape(1) not in ((), (1,)) else 0
    over = spread(site, axis, int(site.attribute("block_size", 0)))

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        scale = scale if scale.is_floating_point() else scale.double()
        x = x if x.is_floating_point() else x.to(scale.dtype)
        return (x if zero is None else x - over(zero)) * over(scale)

    behind = not (site.varies(1) or site.varies(2))
    return Kernel(run, site.given(), Reach.BEHIND if behind else Reach.WHOLE, (FLOAT,))


def dynamic(_: Site) -> Kernel:
    """To bytes, over the range of the numbers at hand."""

    def run(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low, high = x.amin().clamp(max=0.0), x.amax().clamp(min=0.0)
        scale = (high - low) / 255
        zero = rounded(-low / scale, UINT8)
        return rounded(torch.round(x / scale) + zero, UINT8), scale, zero

    return Kernel(run, (0,), Reach.WHOLE, (UINT8, FLOAT, UINT8))


def _centred(x: Tensor, zero: Tensor | None) -> Tensor:
    return x if zero is None else x - zero


def matmul_integer(site: Site) -> Kernel:
    product = multiply(site.rank(0), site.rank(1))
    names = [index for index in (2, 3) if site.has(index)]

    def run(a: Tensor, b: Tensor, *zeros: Tensor) -> Tensor:
        zero = dict(zip(names, zeros, strict=True))
        low = zero.get(2)
        return product(_centred(a, None if low is None else _rows(low)), _centred(b, zero.get(3)))

    return Kernel(_in_one_type(run), (0, 1, *names), Reach.WHOLE, (INT32,))


def conv_integer(site: Site) -> Kernel:
    inner = convolution(replace(site, shapes=site.shapes[:2]))
    names = [index for index in (2, 3) if site.has(index)]

    def run(x: Tensor, w: Tensor, *zeros: Tensor) -> Tensor:
        zero = dict(zip(names, zeros, strict=True))
        out: Tensor = inner.run(_centred(x, zero.get(2)), _of_filters(w, zero.get(3)))
        return out

    return Kernel(_in_one_type(run), (0, 1, *names), Reach.ROW, (INT32,))


def _of_filters(w: Tensor, zero: Tensor | None) -> Tensor:
    zero = zero.reshape(-1, *[1] * (w.ndim - 1)) if zero is not None and zero.numel() > 1 else zero
    return _centred(w, zero)


def _in_one_type(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Constants of whole numbers in the precision of what varies."""

    def call(*parts: Tensor) -> Tensor:
        dtype = next((part.dtype for part in parts if part.is_floating_point()), torch.float64)
        return run(*[part.to(dtype) for part in parts])

    return call


def qlinear_matmul(site: Site) -> Kernel:
    kind, left, right = site.kind(7), site.rank(0), site.rank(3)
    product = multiply(left, right)

    def run(*parts: Tensor) -> Tensor:
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = parts
        a = (a - _rows(a_zero)) * _rows(a_scale)
        return rounded(torch.round(product(a, (b - b_zero) * b_scale) / y_scale) + y_zero, kind)

    return Kernel(_in_one_type(run), tuple(range(8)), Reach.WHOLE, (kind,))


def _rows(x: Tensor) -> Tensor:
    return x.unsqueeze(-1) if x.ndim == 1 and x.numel() > 1 else x


def qlinear_conv(site: Site) -> Kernel:
    inner = convolution(replace(site, shapes=[site.shapes[0], site.shapes[3]]))
    kind, space = site.kind(7), site.rank() - 2

    def run(*parts: Tensor) -> Tensor:
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, *bias = parts
        w_scale = w_scale.reshape(-1, *[1] * (w.ndim - 1)) if w_scale.numel() > 1 else w_scale
        total: Tensor = inner.run(x - x_zero, _of_filters(w, w_zero))
        total = total + bias[0].reshape(-1, *[1] * space) if bias else total
        by_channel = w_scale.reshape(-1, *[1] * space) if w_scale.numel() > 1 else w_scale.reshape(())
        return rounded(torch.round(total * (x_scale * by_channel / y_scale)) + y_zero, kind)

    return Kernel(_in_one_type(run), site.given(), Reach.ROW, (kind,))


OPERATORS: dict[str, Builder] = {
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": dynamic,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize,
}
