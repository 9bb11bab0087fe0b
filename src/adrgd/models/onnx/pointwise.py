"""ONNX operators that act entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site


def unary(run: Callable[[Tensor], Tensor]) -> Builder:
    return lambda _: Kernel(run, (0,), Reach.POINT)


def binary(run: Callable[[Tensor, Tensor], Tensor]) -> Builder:
    return lambda _: Kernel(run, (0, 1), Reach.POINT)


def divide(a: Tensor, b: Tensor) -> Tensor:
    # ONNX divides integers by truncation; they occur in the arithmetic of shapes
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


IDENTITY = Kernel(lambda x: x, (0,), Reach.POINT)


def dropout(site: Site) -> Kernel:
    training = site.constant(2)
    if training is not None and bool(training):
        raise site.unsupported("in training mode")
    return IDENTITY


def leaky_relu(site: Site) -> Kernel:
    slope = float(site.attribute("alpha", 0.01))
    return Kernel(lambda x: F.leaky_relu(x, slope), (0,), Reach.POINT)


def prelu(site: Site) -> Kernel:
    slope = site.constant(1)
    if slope is None:
        raise site.unsupported("without a slope")
    shape = site.shape(0)
    aligned = (1,) * (len(shape) - slope.ndim) + tuple(slope.shape)
    if slope.numel() == 1:
        return Kernel(F.prelu, (0, slope.reshape(1)), Reach.POINT)
    if len(shape) > 1 and slope.numel() == aligned[1] == shape[1]:
        return Kernel(F.prelu, (0, slope.reshape(-1)), Reach.ROW)
    return Kernel(lambda x, a: torch.relu(x) - a * torch.relu(-x), (0, 1), Reach.POINT)


def clip(site: Site) -> Kernel:
    if site.node.opset < 11:
        low, high = site.attribute("min", None), site.attribute("max", None)
    else:
        low, high = (None if bound is None else float(bound) for bound in (site.constant(1), site.constant(2)))
    # exporters write the absence of a bound as the largest number of the type
    widest = torch.finfo(torch.float32).max
    low = None if low is None or low <= -widest else low
    high = None if high is None or high >= widest else high
    if low is None and high is None:
        return IDENTITY
    if low == 0.0 and high is None:
        return Kernel(torch.relu, (0,), Reach.POINT)
    return Kernel(lambda x: torch.clamp(x, min=low, max=high), (0,), Reach.POINT)


def cast(site: Site) -> Kernel:
    kinds: dict[int, torch.dtype] = {
        onnx.TensorProto.BOOL: torch.bool,
        onnx.TensorProto.INT32: torch.int32,
        onnx.TensorProto.INT64: torch.int64,
    }
    floating = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    target: Any = site.attribute("to", None)
    if target in floating:
        # what depends on the input is floating-point already and keeps the precision the caller chose
        return IDENTITY if site.varies(0) else Kernel(lambda x: x.double(), (0,), Reach.POINT)
    if target not in kinds or site.varies(0):
        raise site.unsupported("to turn numbers into another type")
    return Kernel(lambda x: x.to(kinds[target]), (0,), Reach.POINT)


OPERATORS: dict[str, Builder] = {
    "Add": binary(torch.add),
    "Cast": cast,
    "Clip": clip,
    "Div": binary(divide),
    "Dropout": dropout,
    "Identity": lambda _: IDENTITY,
    "LeakyRelu": leaky_relu,
    "Mul": binary(torch.mul),
    "Neg": unary(torch.neg),
    "PRelu": prelu,
    "Relu": unary(torch.relu),
    "Sigmoid": unary(torch.sigmoid),
    "Sign": unary(torch.sign),
    "Sub": binary(torch.sub),
    "Tanh": unary(torch.tanh),
}
