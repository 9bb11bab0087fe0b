"""ONNX operators that are activations, as the calls that `adrgd.activations` recognises, so that each has its gate."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import BOOL
from adrgd.models.onnx.operators.arithmetic import unary
from adrgd.models.onnx.operators.comparison import step

IDENTITY = Kernel(lambda x: x, (0,), Reach.POINT)


def with_number(name: str, default: float, make: Callable[[float], Callable[[Tensor], Tensor]]) -> Builder:
    """An activation of one attribute."""
    return lambda site: Kernel(make(float(site.attribute(name, default))), (0,), Reach.POINT)


def dropout(site: Site) -> Kernel:
    if bool(site.number(2, 0.0)):
        raise site.unsupported("in training mode")
    if len(site.node.outputs) > 1 and site.node.outputs[1]:
        return Kernel(lambda x: (x, torch.ones_like(x)), (0,), Reach.POINT, (site.kind(), BOOL))
    return IDENTITY


def prelu(site: Site) -> Kernel:
    slope = site.constants[1]
    shape = site.shape(0)
    if slope is None:
        return Kernel(lambda x, a: torch.relu(x) - a * torch.relu(-x), (0, 1), Reach.POINT)
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
        if site.varies(1) or site.varies(2):
            return _clip_between(site)
        low, high = (None if bound is None else float(bound) for bound in (site.constant(1), site.constant(2)))
    # exporters write the absence of a bound as the largest number of the type
    widest = torch.finfo(torch.float32).max
    low = None if low is None or low <= -widest else low
    high = None if high is None or high >= widest else high
    if low is None and high is None:
        return IDENTITY
    if low == 0.0 and high is None and not site.whole():
        return Kernel(torch.relu, (0,), Reach.POINT)
    return Kernel(lambda x: torch.clamp(x, min=low, max=high), (0,), Reach.POINT)


def _clip_between(site: Site) -> Kernel:
    """Between bounds that are computed."""
    has_low = site.has(1)

    def run(x: Tensor, *bounds: Tensor) -> Tensor:
        rest = list(bounds)
        x = torch.maximum(x, rest.pop(0).to(x.dtype)) if has_low else x
        return torch.minimum(x, rest.pop(0).to(x.dtype)) if rest else x

    return Kernel(run, site.given(), Reach.POINT)


def gelu(site: Site) -> Kernel:
    form = site.attribute("approximate", "none")
    return Kernel(lambda x: F.gelu(x, approximate=form), (0,), Reach.POINT)


def fast_gelu(site: Site) -> Kernel:
    if site.has(1):
        return Kernel(lambda x, bias: F.gelu(x + bias, approximate="tanh"), (0, 1), Reach.POINT)
    return Kernel(lambda x: F.gelu(x, approximate="tanh"), (0,), Reach.POINT)


def selu(site: Site) -> Kernel:
    alpha = float(site.attribute("alpha", 1.67326319217681884765625 if site.node.opset >= 6 else 1.6732))
    gamma = float(site.attribute("gamma", 1.05070102214813232421875 if site.node.opset >= 6 else 1.0507))
    if abs(alpha - 1.6732632423543772) < 1e-6 and abs(gamma - 1.0507009873554805) < 1e-6:
        return Kernel(F.selu, (0,), Reach.POINT)
    return Kernel(lambda x: torch.ops.aten.elu(x, alpha, gamma), (0,), Reach.POINT)


def hard_sigmoid(site: Site) -> Kernel:
    alpha, beta = float(site.attribute("alpha", 0.2)), float(site.attribute("beta", 0.5))
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
        return Kernel(F.hardsigmoid, (0,), Reach.POINT)
    return Kernel(lambda x: torch.clamp(alpha * x + beta, min=0.0, max=1.0), (0,), Reach.POINT)


def shrink(site: Site) -> Kernel:
    width, bias = float(site.attribute("lambd", 0.5)), float(site.attribute("bias", 0.0))
    if width < 0:
        raise site.unsupported(f"with a negative lambd ({width:g})")
    if bias == 0:
        return Kernel(lambda x: F.hardshrink(x, width), (0,), Reach.POINT)
    if bias == width:
        return Kernel(lambda x: F.softshrink(x, width), (0,), Reach.POINT)

    def run(x: Tensor) -> Tensor:
        return F.hardshrink(x, width) - bias * (step(x - width, 0.0) - step(-x - width, 0.0))

    return Kernel(run, (0,), Reach.POINT)


def swish(alpha: float) -> Callable[[Tensor], Tensor]:
    if alpha == 1:
        return F.silu
    return (lambda x: F.silu(alpha * x) / alpha) if alpha else (lambda x: x / 2)


OPERATORS: dict[str, Builder] = {
    "Celu": with_number("alpha", 1.0, lambda alpha: lambda x: F.celu(x, alpha)),
    "Clip": clip,
    "Dropout": dropout,
    "Elu": with_number("alpha", 1.0, lambda alpha: lambda x: F.elu(x, alpha)),
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": unary(F.hardswish),
    "Identity": lambda _: IDENTITY,
    "LeakyRelu": with_number("alpha", 0.01, lambda alpha: lambda x: F.leaky_relu(x, alpha)),
    "Mish": unary(F.mish),
    "PRelu": prelu,
    "Relu": lambda site: Kernel((lambda x: x.clamp_min(0)) if site.whole() else torch.relu, (0,), Reach.POINT),
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": unary(torch.sigmoid),
    "Softplus": unary(F.softplus),
    "Softsign": unary(F.softsign),
    "Swish": with_number("alpha", 1.0, swish),
    "Tanh": unary(torch.tanh),
    "ThresholdedRelu": with_number("alpha", 1.0, lambda alpha: lambda x: F.threshold(x, alpha, 0.0)),
    "com.microsoft.BiasGelu": lambda _: Kernel(lambda x, bias: F.gelu(x + bias), (0, 1), Reach.POINT),
    "com.microsoft.FastGelu": fast_gelu,
    "com.microsoft.Gelu": unary(F.gelu),
    "com.microsoft.QuickGelu": with_number("alpha", 1.702, swish),
}
