"""Which function calls are activations, and what each of them computes: one entry an activation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.exponential import SELU, Exponential
from adrgd.activations.gaussian import COS, ERF, GELU, GELU_TANH, SIN
from adrgd.activations.hinges import ABS, HARDSIGMOID, RELU, RELU6, PiecewiseLinear
from adrgd.activations.logistic import LOGSIGMOID, SILU, Softplus
from adrgd.activations.mixture import ATAN, MISH, SOFTSIGN, TANHSHRINK
from adrgd.activations.polynomial import HARDSWISH, PiecewiseQuadratic, hardshrink, jumping
from adrgd.activations.pooling import MaxPool
from adrgd.activations.slopes import Activation
from adrgd.activations.spellings import Build, Entry, Found, Recogniser, recognisers
from adrgd.activations.sshaped import HEAVISIDE, SIGMOID, SIGN, TANH
from adrgd.activations.stairs import CEIL, FLOOR, TRUNC, rounding


def _always(phi: Activation) -> Build:
    return lambda h: phi


def _leaky(slope: float, name: str = "leaky_relu") -> PiecewiseLinear:
    return PiecewiseLinear((0.0,), (1.0 - slope,), slope, name=name)


def _between(name: str, low: float | None, high: float | None) -> PiecewiseLinear | None:
    """clamp: flat below `low` and above `high`; an absent or infinite lower bound leaves the left slope at one."""
    low, high = None if low == -math.inf else low, None if high == math.inf else high
    if low is None:
        return None if high is None else PiecewiseLinear((float(high),), (-1.0,), 1.0, name=name)
    if high is None:
        return RELU if low == 0 else PiecewiseLinear((float(low),), (1.0,), offset=float(low), name=name)
    if low > high:  # torch returns `high` everywhere
        return None
    if (low, high) == (0, 6):
        return RELU6
    return PiecewiseLinear((float(low), float(high)), (1.0, -1.0), offset=float(low), name=name)


def _clamp(h: Tensor, min: Any = None, max: Any = None) -> PiecewiseLinear | None:
    return None if isinstance(min, Tensor) or isinstance(max, Tensor) else _between("clamp", min, max)


def _prelu(h: Tensor, weight: Tensor) -> PiecewiseLinear:
    slope = weight.detach()
    if slope.numel() > 1:
        slope = slope.view(-1, *[1] * (h.dim() - 2))
    return PiecewiseLinear((0.0,), (1.0 - slope,), slope, name="prelu")


def _rrelu(
    h: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> PiecewiseLinear | None:
    return None if training else _leaky((lower + upper) / 2, "rrelu")


def _threshold(h: Tensor, threshold: float, value: float) -> Activation:
    if threshold == value:  # no jump: clamp
        return RELU if value == 0 else PiecewiseLinear((float(value),), (1.0,), offset=float(value), name="threshold")
    return jumping(float(threshold), float(value))


def _max_pool(axes: int) -> Recogniser:
    def every(value: int | Sequence[int]) -> tuple[int, ...]:
        values = [value] if isinstance(value, int) else list(value)
        return tuple(values * axes if len(values) == 1 else values)

    def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        if kwargs.get("return_indices"):
            return None
        size = every(_argument(args, kwargs, 1, "kernel_size", None))
        stride = _argument(args, kwargs, 2, "stride", None)
        padding, dilation = _argument(args, kwargs, 3, "padding", 0), _argument(args, kwargs, 4, "dilation", 1)
        ceil_mode = bool(_argument(args, kwargs, 5, "ceil_mode", False))
        moves = every(stride) if stride else size  # torch and aten leave it out as None or ()
        pool = MaxPool(size, moves, every(padding), every(dilation), ceil_mode)
        return _argument(args, kwargs, 0, "input", None), pool, False

    return recognise


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], at: int, name: str, default: Any) -> Any:
    if len(args) > at:
        return args[at]
    return kwargs.get(name, kwargs.get("self", default) if at == 0 else default)


def _gelu(h: Tensor, approximate: str = "none") -> Activation:
    return GELU_TANH if approximate == "tanh" else GELU


def _softplus(h: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Softplus | None:
    return Softplus(float(beta), float(threshold)) if beta > 0 else None


def _elu(h: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Exponential | None:
    return Exponential("elu", float(alpha), float(scale), float(input_scale)) if input_scale > 0 else None


def _celu(h: Tensor, alpha: float = 1.0) -> Exponential | None:
    return Exponential("celu", float(alpha), rate=1 / float(alpha)) if alpha > 0 else None


def _hardshrink(h: Tensor, lambd: float = 0.5) -> PiecewiseQuadratic | None:
    return hardshrink(float(lambd)) if lambd > 0 else None


def _softshrink(h: Tensor, lambd: float = 0.5) -> PiecewiseLinear:
    return PiecewiseLinear((-float(lambd), float(lambd)), (-1.0, 1.0), 1.0, float(lambd), name="softshrink")


ENTRIES = (
    Entry(_always(RELU), ("relu",), functional=("inplace",)),
    Entry(_always(RELU6), ("relu6",), functional=("inplace",)),
    Entry(lambda h, negative_slope=0.01: _leaky(float(negative_slope)), ("leaky_relu",),
          ("negative_slope",), ("negative_slope", "inplace")),
    Entry(_prelu, ("prelu", "_prelu_kernel"), ("weight",)),
    Entry(_rrelu, ("rrelu",), ("lower", "upper", "training", "generator"), ("lower", "upper", "training", "inplace")),
    Entry(lambda h, min_val=-1.0, max_val=1.0: _between("hardtanh", min_val, max_val), ("hardtanh",),
          ("min_val", "max_val"), ("min_val", "max_val", "inplace")),
    Entry(_clamp, ("clamp", "clip"), ("min", "max")),
    Entry(_clamp, ("clamp_min",), ("min",)),
    Entry(_clamp, ("clamp_max",), ("max",)),
    Entry(_threshold, ("threshold",), ("threshold", "value"), ("threshold", "value", "inplace")),
    Entry(_always(ABS), ("abs", "absolute")),
    Entry(_always(HARDSIGMOID), ("hardsigmoid",), functional=("inplace",)),
    Entry(_softshrink, ("softshrink",), ("lambd",)),
    Entry(_hardshrink, ("hardshrink",), ("lambd",)),
    Entry(_always(HARDSWISH), ("hardswish",), functional=("inplace",)),
    Entry(_gelu, ("gelu",), ("approximate",)),
    Entry(_always(SILU), ("silu",), functional=("inplace",)),
    Entry(_always(MISH), ("mish",), functional=("inplace",)),
    Entry(_softplus, ("softplus",), ("beta", "threshold")),
    Entry(_always(LOGSIGMOID), ("logsigmoid", "log_sigmoid")),
    Entry(_elu, ("elu",), ("alpha", "scale", "input_scale"), ("alpha", "inplace")),
    Entry(_celu, ("celu",), ("alpha",), ("alpha", "inplace")),
    Entry(_always(SELU), ("selu",), functional=("inplace",)),
    Entry(_always(SIGMOID), ("sigmoid", "expit")),
    Entry(_always(TANH), ("tanh",)),
    Entry(_always(SOFTSIGN), ("softsign",)),
    Entry(_always(TANHSHRINK), ("tanhshrink",)),
    Entry(_always(ATAN), ("atan", "arctan")),
    Entry(_always(ERF), ("erf",)),
    Entry(_always(SIN), ("sin",)),
    Entry(_always(COS), ("cos",)),
    Entry(_always(SIGN), ("sign", "sgn")),
    Entry(lambda h, values: HEAVISIDE, ("heaviside",), ("values",)),
    Entry(_always(FLOOR), ("floor",)),
    Entry(_always(CEIL), ("ceil",)),
    Entry(_always(TRUNC), ("trunc", "fix")),
    Entry(lambda h, decimals=0: rounding(decimals), ("round",), ("decimals",)),
)  # fmt: skip
"""A new activation is one entry here: what it computes, torch's names for it, and its arguments."""

_aten = torch.ops.aten

RECOGNISERS: dict[Any, Recogniser] = recognisers(ENTRIES) | {
    function: _max_pool(axes)
    for axes in (1, 2, 3)
    for name in [f"max_pool{axes}d"]
    for function in (getattr(F, name), getattr(torch, name), getattr(_aten, name).default)
}
"""Activation functions by the object that a TorchFunctionMode receives."""
