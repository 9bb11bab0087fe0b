"""Which activation a function of one number is, told by its values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.hinges import RELU, PiecewiseLinear
from adrgd.activations.polynomial import RELU_SQUARED
from adrgd.activations.recognise import RECOGNISERS
from adrgd.activations.slopes import Activation, Factor

GRID = torch.linspace(-12.0, 12.0, 98, dtype=torch.float64)  # without zero, where written-out steps may differ
_SIZES = torch.logspace(-5, 1.5, 400, dtype=torch.float64)
DENSE = torch.cat([-_SIZES, _SIZES])  # at all scales: x sigmoid(100 x) is no ReLU
CLOSE = 1e-5  # constants such as sqrt(2 / pi) and 1.702 are written with few digits
PROBE = 3.0

NAMED: tuple[tuple[Callable[..., Tensor], dict[str, Any]], ...] = (
    (F.gelu, {}), (F.gelu, {"approximate": "tanh"}), (F.mish, {}), (F.hardswish, {}), (F.softplus, {}),
    (F.logsigmoid, {}), (torch.sigmoid, {}), (torch.tanh, {}), (F.softsign, {}), (F.hardsigmoid, {}),
)  # fmt: skip
_answers: dict[tuple[Any, ...], Activation | None] = {}


@dataclass(frozen=True)
class Scaled:
    """outer * phi(inner * h)."""

    phi: Activation
    inner: float
    outer: float

    is_relu = False

    @property
    def is_flat(self) -> bool:
        return self.phi.is_flat

    @property
    def name(self) -> str:
        return self.phi.name

    def value(self, h: Tensor) -> Tensor:
        return self.outer * self.phi.value(self.inner * h)

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        slope = self.phi.soft(self.inner * h, inverse / abs(self.inner), left)
        return Factor((self.outer * self.inner) * slope.push(torch.ones_like(h)))


def known(key: tuple[Any, ...], function: Callable[[Tensor], Tensor]) -> Activation | None:
    """The activation that has the values of `function`, up to a factor; None if it is none that is known.

    Args:
        key: how the function is written; asked once for each.
    """
    if key not in _answers:
        _answers[key] = _search(function)
    return _answers[key]


def _search(function: Callable[[Tensor], Tensor]) -> Activation | None:
    with torch.no_grad():
        try:
            values = function(GRID)
            at_probe = float(function(GRID.new_tensor([PROBE]))[0])
        except (RuntimeError, TypeError, ValueError, IndexError):
            return None
        if not isinstance(values, Tensor) or values.shape != GRID.shape or not values.is_floating_point():
            return None
        for phi in _candidates(function, at_probe):
            if _same(phi.value(GRID), values) and _same(phi.value(DENSE), function(DENSE)):
                return phi
        return None


def _candidates(function: Callable[[Tensor], Tensor], at_probe: float) -> Iterator[Activation]:
    left, right = (float(function(GRID.new_tensor([at]))[0]) for at in (-1.0, 1.0))
    if right != -left and math.isfinite(left + right):
        relu = (left, right) == (0.0, 1.0)
        yield RELU if relu else PiecewiseLinear((0.0,), (right + left,), -left, name="leaky_relu")
    if left == 0 and right:
        yield RELU_SQUARED if right == 1 else Scaled(RELU_SQUARED, 1.0, right)
    for named, options in NAMED:
        phi = _phi(named, options)
        if phi is None:
            continue
        unit = float(phi.value(GRID.new_tensor([PROBE]))[0])
        factor = at_probe / unit if unit else 0.0
        yield phi if abs(factor - 1) < CLOSE else Scaled(phi, 1.0, factor)
    share = at_probe / PROBE  # sigmoid(inner * PROBE) of x * sigmoid(inner * x)
    silu = _phi(F.silu, {})
    if silu is not None and 0.5 < share < 1:
        inner = math.log(share / (1 - share)) / PROBE
        yield silu if abs(inner - 1) < CLOSE else Scaled(silu, inner, 1 / inner)
    floor = float(function(GRID.new_tensor([-40.0]))[0])
    if right > 0 > floor:
        elu = _phi(F.elu, {"alpha": -floor / right})
        if elu is not None:
            yield elu if abs(right - 1) < CLOSE else Scaled(elu, 1.0, right)


def _phi(function: Callable[..., Tensor], options: dict[str, Any]) -> Activation | None:
    found: Any = RECOGNISERS[function]((GRID,), options) if function in RECOGNISERS else None
    return None if found is None else found[1]


def _same(found: Tensor, expected: Tensor) -> bool:
    scale = expected.abs().clamp_min(1.0)
    return bool(((found - expected).abs() <= CLOSE * scale).all())
