"""Which function calls are activations, and what each of them computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.hinges import RELU, PiecewiseLinear
from adrgd.activations.pooling import MaxPool
from adrgd.activations.slopes import Activation
from adrgd.activations.sshaped import SIGMOID, SIGN, TANH, SShaped

Found = tuple[Tensor, Activation, bool]
Recogniser = Callable[[tuple[Any, ...], Mapping[str, Any]], Found | None]


def _leaky(slope: float) -> PiecewiseLinear:
    return PiecewiseLinear((0.0,), (1.0 - slope,), slope)


def _between(low: float | None, high: float | None) -> PiecewiseLinear | None:
    """clamp: flat below `low` and above `high`; an absent or infinite lower bound leaves the left slope at one."""
    low, high = None if low == -math.inf else low, None if high == math.inf else high
    if low is None:
        return None if high is None else PiecewiseLinear((float(high),), (-1.0,), 1.0)
    if high is None:
        return RELU if low == 0 else PiecewiseLinear((float(low),), (1.0,), offset=float(low))
    if low > high:  # torch returns `high` everywhere
        return None
    return PiecewiseLinear((float(low), float(high)), (1.0, -1.0), offset=float(low))


def _relu(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
    h = _argument(args, kwargs, 0, "input", None)
    return h, RELU, bool(_argument(args, kwargs, 1, "inplace", False))


def _relu_in_place(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
    return _argument(args, kwargs, 0, "input", None), RELU, True


def _relu6(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
    h, _, in_place = _relu(args, kwargs)
    return h, PiecewiseLinear((0.0, 6.0), (1.0, -1.0)), in_place


def _leaky_relu(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
    slope = float(_argument(args, kwargs, 1, "negative_slope", 0.01))
    return args[0] if args else kwargs["input"], _leaky(slope), bool(_argument(args, kwargs, 2, "inplace", False))


def _hardtanh(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
    low, high = _argument(args, kwargs, 1, "min_val", -1.0), _argument(args, kwargs, 2, "max_val", 1.0)
    phi = _between(low, high)
    h = _argument(args, kwargs, 0, "input", None)
    return None if phi is None else (h, phi, bool(_argument(args, kwargs, 3, "inplace", False)))


def _prelu(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
    h, weight = _argument(args, kwargs, 0, "input", None), _argument(args, kwargs, 1, "weight", None)
    slope = weight.detach()
    if slope.numel() > 1:
        slope = slope.view(-1, *[1] * (h.dim() - 2))
    return h, PiecewiseLinear((0.0,), (1.0 - slope,), slope), False


def _threshold(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
    at, value = _argument(args, kwargs, 1, "threshold", None), _argument(args, kwargs, 2, "value", None)
    if at != 0 or value != 0:  # any other threshold jumps, and is not piecewise linear
        return None
    return _argument(args, kwargs, 0, "input", None), RELU, bool(_argument(args, kwargs, 3, "inplace", False))


def _s_shaped(phi: SShaped, in_place: bool = False) -> Recogniser:
    def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        h = _argument(args, kwargs, 0, "input", None)
        if not isinstance(h, Tensor) or not h.is_floating_point() or "out" in kwargs:
            return None
        return h, phi, in_place

    return recognise


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


def _clamp(in_place: bool, first: str = "min") -> Recogniser:
    def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        low = _argument(args, kwargs, 1, "min", None) if first == "min" else None
        high = _argument(args, kwargs, 2 if first == "min" else 1, "max", None)
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            return None
        phi = _between(low, high)
        h = _argument(args, kwargs, 0, "input", None)
        if phi is None or not isinstance(h, Tensor) or not h.is_floating_point() or "out" in kwargs:
            return None
        return h, phi, in_place

    return recognise


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], at: int, name: str, default: Any) -> Any:
    if len(args) > at:
        return args[at]
    return kwargs.get(name, kwargs.get("self", default) if at == 0 else default)


_aten = torch.ops.aten

RECOGNISERS: dict[Any, Recogniser] = (
    dict.fromkeys((F.relu, torch.relu, Tensor.relu, _aten.relu.default), _relu)
    | dict.fromkeys((torch.relu_, Tensor.relu_, _aten.relu_.default), _relu_in_place)
    | dict.fromkeys((F.relu6, torch._C._nn.relu6, _aten.relu6.default), _relu6)
    | dict.fromkeys((F.leaky_relu, torch._C._nn.leaky_relu, _aten.leaky_relu.default), _leaky_relu)
    | dict.fromkeys((F.hardtanh, torch._C._nn.hardtanh, _aten.hardtanh.default), _hardtanh)
    | dict.fromkeys((F.prelu, torch.prelu, Tensor.prelu, _aten.prelu.default), _prelu)
    | dict.fromkeys((F.threshold, torch.threshold, _aten.threshold.default), _threshold)
    | dict.fromkeys((torch.clamp, torch.clip, Tensor.clamp, Tensor.clip, _aten.clamp.default), _clamp(False))
    | dict.fromkeys((torch.clamp_min, Tensor.clamp_min, _aten.clamp_min.default), _clamp(False))
    | dict.fromkeys((torch.clamp_max, Tensor.clamp_max, _aten.clamp_max.default), _clamp(False, "max"))
    | dict.fromkeys((torch.clamp_, torch.clip_, Tensor.clamp_, Tensor.clip_, _aten.clamp_.default), _clamp(True))
    | {_aten.clip.default: _clamp(False), _aten.clip_.default: _clamp(True)}
    | dict.fromkeys((torch.clamp_min_, Tensor.clamp_min_, _aten.clamp_min_.default), _clamp(True))
    | dict.fromkeys((torch.clamp_max_, Tensor.clamp_max_, _aten.clamp_max_.default), _clamp(True, "max"))
    | dict.fromkeys((F.sigmoid, torch.sigmoid, Tensor.sigmoid, _aten.sigmoid.default), _s_shaped(SIGMOID))
    | dict.fromkeys((torch.sigmoid_, Tensor.sigmoid_, _aten.sigmoid_.default), _s_shaped(SIGMOID, True))
    | dict.fromkeys((F.tanh, torch.tanh, Tensor.tanh, _aten.tanh.default), _s_shaped(TANH))
    | dict.fromkeys((torch.tanh_, Tensor.tanh_, _aten.tanh_.default), _s_shaped(TANH, True))
    | dict.fromkeys((torch.sign, Tensor.sign, torch.sgn, Tensor.sgn, _aten.sign.default), _s_shaped(SIGN))
    | dict.fromkeys((Tensor.sign_, Tensor.sgn_, _aten.sign_.default), _s_shaped(SIGN, True))
    | dict.fromkeys((F.max_pool1d, torch.max_pool1d, _aten.max_pool1d.default), _max_pool(1))
    | dict.fromkeys((F.max_pool2d, torch.max_pool2d, _aten.max_pool2d.default), _max_pool(2))
    | dict.fromkeys((F.max_pool3d, torch.max_pool3d, _aten.max_pool3d.default), _max_pool(3))
)
"""Activation functions by the object that a TorchFunctionMode receives."""


def _in_place_forms() -> None:
    """relu6_, leaky_relu_, hardtanh_ and threshold_ take the arguments of the plain forms."""
    forms = (
        (torch._C._nn.relu6_, _aten.relu6_.default, _relu6),
        (torch._C._nn.leaky_relu_, _aten.leaky_relu_.default, _leaky_relu),
        (torch._C._nn.hardtanh_, _aten.hardtanh_.default, _hardtanh),
        (torch.threshold_, _aten.threshold_.default, _threshold),
    )
    for eager, exported, plain in forms:

        def recognise(args: tuple[Any, ...], kwargs: Mapping[str, Any], plain: Recogniser = plain) -> Found | None:
            found = plain(args, kwargs)
            return None if found is None else (found[0], found[1], True)

        RECOGNISERS[eager] = RECOGNISERS[exported] = recognise


_in_place_forms()
