"""ONNX operators that mix the entries of a row: products, convolutions, pools, normalisation and reductions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.windows import OPERATORS as WINDOWS


def gemm(site: Site) -> Kernel:
    alpha, beta = float(site.attribute("alpha", 1.0)), float(site.attribute("beta", 1.0))
    turn_a, turn_b = bool(site.attribute("transA", 0)), bool(site.attribute("transB", 0))
    b, c = (site.constants[index] if site.has(index) else None for index in (1, 2))
    if not turn_a and b is not None and not site.varies(2):
        weight = alpha * (b if turn_b else b.t())
        width = weight.shape[0]
        if c is None:
            return Kernel(F.linear, (0, weight.contiguous()), Reach.LAST)
        if c.numel() == 1 or (c.numel() == width and c.shape[-1] == width):
            bias = (beta * c).reshape(-1).expand(width).contiguous()
            return Kernel(F.linear, (0, weight.contiguous(), bias), Reach.LAST)

    def run(a: Tensor, b: Tensor, *rest: Tensor) -> Tensor:
        product = alpha * ((a.t() if turn_a else a) @ (b.t() if turn_b else b))
        return product + beta * rest[0] if rest else product

    return Kernel(run, (0, 1, 2) if site.has(2) else (0, 1), Reach.WHOLE)


def matmul(site: Site) -> Kernel:
    right = site.constants[1]
    if right is not None and right.ndim == 2 and site.varies(0):
        return Kernel(F.linear, (0, right.t().contiguous()), Reach.LAST)
    # with three axes or more on both sides the first one is a batch of matrices
    stacked = min(len(site.shape(0)), len(site.shape(1))) > 2
    return Kernel(torch.matmul, (0, 1), Reach.ROW if stacked else Reach.WHOLE)


def batch_normalization(site: Site) -> Kernel:
    if site.attribute("training_mode", 0) or len([name for name in site.node.outputs if name]) > 1:
        raise site.unsupported("in training mode")
    epsilon = float(site.attribute("epsilon", 1e-5))

    def run(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=epsilon)

    return Kernel(run, (0, 1, 2, 3, 4), Reach.ROW)


def softmax(site: Site) -> Kernel:
    if site.node.opset >= 13:
        axis = site.axis(site.attribute("axis", -1))
        return Kernel(lambda x: torch.softmax(x, axis), (0,), Reach.ROW if axis else Reach.WHOLE)
    # the older operator is one softmax over this and all later axes
    first = site.axis(site.attribute("axis", 1))

    def run(x: Tensor) -> Tensor:
        return torch.softmax(x.flatten(first), first).reshape(x.shape)

    return Kernel(run, (0,), Reach.ROW if first else Reach.WHOLE)


def reduction(total: bool) -> Builder:
    def build(site: Site) -> Kernel:
        listed_since = 13 if total else 18  # the opset in which the axes became an input
        given = site.integers(1) if site.node.opset >= listed_since else site.attribute("axes", None)
        if not given and site.attribute("noop_with_empty_axes", 0):
            return Kernel(lambda x: x, (0,), Reach.POINT)
        rank, keep = len(site.shape(0)), bool(site.attribute("keepdims", 1))
        axes = [site.axis(axis) for axis in given] if given else list(range(rank))
        reach = Reach.WHOLE if 0 in axes else Reach.ROW
        if total:
            return Kernel(lambda x: torch.sum(x, axes, keepdim=keep), (0,), reach)
        return Kernel(lambda x: torch.mean(x, axes, keepdim=keep), (0,), reach)

    return build


OPERATORS: dict[str, Builder] = {
    **WINDOWS,
    "BatchNormalization": batch_normalization,
    "Gemm": gemm,
    "MatMul": matmul,
    "ReduceMean": reduction(total=False),
    "ReduceSum": reduction(total=True),
    "Softmax": softmax,
}
