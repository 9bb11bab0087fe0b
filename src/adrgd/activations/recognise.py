"""Which function calls are activations, and what each of them computes, as a sum of hinges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Number = float | Tensor


@dataclass(frozen=True)
class PiecewiseLinear:
    """phi(h) = offset + slope * h + sum_k jumps[k] * max(h - breaks[k], 0).

    `slope` is phi's slope far on the left; each break adds its jump. Tensors broadcast against h (PReLU's weights).
    """

    breaks: tuple[float, ...]
    jumps: tuple[Number, ...]
    slope: Number = 0.0
    offset: float = 0.0

    @property
    def is_relu(self) -> bool:
        """One break at zero from slope 0 to slope 1."""
        if isinstance(self.slope, Tensor) or isinstance(self.jumps[0], Tensor):
            return False
        return self.slope == 0.0 and self.breaks == (0.0,) and self.jumps == (1.0,)

    def value(self, h: Tensor) -> Tensor:
        """phi(h) itself."""
        if self.is_relu:
            return h.clamp_min(0)
        out = self.offset + self.slope * h
        for at, jump in zip(self.breaks, self.jumps, strict=True):
            out = out + jump * (h - at).clamp_min(0)
        return out

    def gated(self, h: Tensor, gates: list[Tensor]) -> Tensor:
        """The same sum with the k-th hinge replaced by gates[k] * (h - breaks[k]): equations 3 and 6."""
        if self.is_relu:
            return gates[0] * h
        out = self.offset + self.slope * h
        for at, jump, gate in zip(self.breaks, self.jumps, gates, strict=True):
            out = out + jump * gate * (h - at)
        return out

    def mix(self, gates: list[Tensor]) -> Tensor:
        """The slope that belongs to gate values in [0, 1]: slope + sum_k jumps[k] * gates[k]."""
        if self.is_relu:
            return gates[0]
        total: Any = self.slope
        for jump, gate in zip(self.jumps, gates, strict=True):
            total = total + jump * gate
        return torch.as_tensor(total)


RELU = PiecewiseLinear((0.0,), (1.0,))

Found = tuple[Tensor, PiecewiseLinear, bool]
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
)
"""Activation functions by the object that a TorchFunctionMode receives. Smooth activations are not gated here."""


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
