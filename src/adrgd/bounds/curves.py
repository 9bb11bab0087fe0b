"""Functions of one number whose slope is monotone between known points: all that their bounds need to know."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.activations.exponential import Exponential
from adrgd.activations.gaussian import Erf, Gelu, Wave
from adrgd.activations.known import CLOSE, Scaled
from adrgd.activations.logistic import LogSigmoid, Silu, Softplus
from adrgd.activations.mixture import ATAN, MISH, SOFTSIGN, TANHSHRINK
from adrgd.activations.polynomial import PiecewiseQuadratic
from adrgd.activations.slopes import Activation
from adrgd.activations.sshaped import SIGMOID, TANH, SShaped
from adrgd.bounds.pairs import Product

PERIODS = 3  # of a wave's turning points, from the interval's lower end on


@dataclass(frozen=True)
class Curve:
    """phi, continuous where it is finite, unless it jumps.

    Attributes:
        value: the function itself.
        turns: between these its slope rises or falls throughout; at them it may jump.
        period: where the turning points are repeated for ever.
        off: how far the network's own function may be from it, for each unit of 1 + |h|.
        leaps: at turning points it may jump, and has a value of its own there.
        kinks: at turning points its slope jumps.
        derivative: its slope, where that is quicker than to ask autograd.
        meets: between two turning points, counted from the left, where it has a slope; close is enough. Unless given,
            the place is found by halving.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    turns: tuple[float, ...] = ()
    period: float | None = None
    off: float = 0.0
    leaps: bool = False
    kinks: bool = False
    derivative: Callable[[Tensor], Tensor] | None = None
    meets: Callable[[Tensor, int], Tensor] | None = None

    def slope(self, h: Tensor) -> Tensor:
        """Its derivative; at a turning point that of either side."""
        if self.derivative is not None:
            return self.derivative(h)
        with torch.enable_grad():
            leaf = h.detach().requires_grad_(True)
            total = self.value(leaf).sum()
        return torch.autograd.grad(total, leaf)[0]

    def corners(self, lower: Tensor, upper: Tensor) -> list[Tensor]:
        """The turning points inside intervals, in order, moved to their ends where they are outside."""
        points: list[Tensor | float] = list(self.turns)
        if self.period is not None:
            first = self.turns[0] + ((lower - self.turns[0]) / self.period).floor() * self.period
            points = [first + k * self.period for k in range(PERIODS + 1)]
        return [torch.minimum(torch.maximum(torch.as_tensor(p, dtype=lower.dtype), lower), upper) for p in points]


Shape = PiecewiseLinear | Curve | Product
"""Activations of a network; a single bend at zero has bounds of its own, whose lower slope is free."""

EXP = Curve("exp", torch.exp, derivative=torch.exp, meets=lambda s, k: s.log())
LOG = Curve("log", torch.log, derivative=torch.reciprocal, meets=lambda s, k: s.reciprocal())
SQRT = Curve("sqrt", torch.sqrt, derivative=lambda h: h.rsqrt() / 2, meets=lambda s, k: s.square().reciprocal() / 4)
RSQRT = Curve("rsqrt", torch.rsqrt, derivative=lambda h: h.rsqrt() / (-2 * h), meets=lambda s, k: (-2 * s) ** (-2 / 3))
LOG1P, EXPM1 = Curve("log1p", torch.log1p), Curve("expm1", torch.expm1)
RECIPROCAL = Curve(
    "reciprocal", torch.reciprocal, (0.0,), derivative=lambda h: -h.square().reciprocal(),
    meets=lambda s, k: (-s).rsqrt() * (1 if k else -1),
)  # fmt: skip
SQUARE = Curve("square", torch.square, derivative=lambda h: 2 * h, meets=lambda s, k: s / 2)


def s_shaped(phi: SShaped) -> Curve:
    """height / (1 + exp(-h / width)) - base."""

    def derivative(h: Tensor) -> Tensor:
        p = torch.sigmoid(h / phi.width)
        return (p - p * p) * (phi.height / phi.width)

    def meets(slope: Tensor, piece: int) -> Tensor:
        share = slope * (phi.width / phi.height)  # p - p^2
        p = 2 * share / (1 + (1 - 4 * share).clamp(min=0).sqrt())
        return torch.logit(p) * (-phi.width if piece else phi.width)

    return Curve(phi.name, phi.value, (0.0,), derivative=derivative, meets=meets)


def power(exponent: float) -> Curve:
    """h to a constant power."""
    if exponent == 2:
        return SQUARE
    return Curve(f"power {exponent:g}", lambda h: torch.pow(h, exponent), (0.0,))


GELU_TURNS = {"none": math.sqrt(2), "tanh": 1.4185040087908284}
SILU_TURN = 2.399357280515468
MISH_TURNS = (-2.2563763963607935, 1.4905711794854282)


def shape_of(phi: Activation | object, *, written: bool = False) -> Shape | None:
    """What bounds need to know of an activation; None where they have nothing.

    Args:
        written: it is written out in the network, with constants that are only close to its own.
    """
    if isinstance(phi, PiecewiseLinear) and not written and _bends_at_zero(phi):
        return phi
    found = _curve(phi)
    if found is None or not written:
        return found
    larger = max(1.0, abs(phi.outer) * max(1.0, abs(phi.inner))) if isinstance(phi, Scaled) else 1.0
    return replace(found, off=found.off + 2 * CLOSE * larger)


def _bends_at_zero(phi: PiecewiseLinear) -> bool:
    return not _by_channel(phi) and phi.breaks == (0.0,) and not phi.offset and float(phi.jumps[0]) > 0


def _by_channel(phi: PiecewiseLinear) -> bool:
    return any(isinstance(number, Tensor) and number.numel() > 1 for number in (phi.slope, *phi.jumps))


def _curve(phi: object) -> Curve | None:
    if isinstance(phi, PiecewiseLinear) and not _by_channel(phi):
        return Curve(phi.name, phi.value, tuple(phi.breaks), kinks=True)
    if isinstance(phi, SShaped) and phi.width > 0:
        return s_shaped(phi)
    if isinstance(phi, Gelu):
        turn = GELU_TURNS[phi.approximate]
        return Curve(phi.name, phi.value, (-turn, turn), off=0.0 if phi.approximate == "none" else 1e-13)
    if isinstance(phi, Silu):
        return Curve(phi.name, phi.value, (-SILU_TURN, SILU_TURN), derivative=_silu_slope)
    if isinstance(phi, Softplus):  # torch leaves the curve for its asymptote
        return Curve(phi.name, phi.value, off=2 * math.exp(-phi.threshold) / phi.beta)
    if isinstance(phi, LogSigmoid):
        return Curve(phi.name, phi.value)
    if isinstance(phi, Exponential):
        return Curve(phi.name, phi.value, (0.0,))
    if isinstance(phi, PiecewiseQuadratic):
        turns, leaps = tuple(one.at for one in phi.breaks), any(one.jump for one in phi.breaks)
        return Curve(phi.name, phi.value, turns, leaps=leaps)
    if isinstance(phi, Wave):
        return Curve(phi.name, phi.value, (0.0 if phi.name == "sin" else math.pi / 2,), math.pi)
    if phi is MISH:
        return Curve("mish", F.mish, MISH_TURNS)
    if isinstance(phi, Erf) or phi in (TANHSHRINK, SOFTSIGN, ATAN):
        return Curve(phi.name, phi.value, (0.0,))
    inner = _curve(phi.phi) if isinstance(phi, Scaled) and phi.inner else None
    if isinstance(phi, Scaled) and inner is not None and inner.period is None and not inner.leaps:
        turns = tuple(sorted(turn / phi.inner for turn in inner.turns))
        off = inner.off * max(1.0, abs(phi.outer), abs(phi.inner))
        return replace(inner, value=phi.value, turns=turns, off=off, derivative=None, meets=None)
    return None


def _silu_slope(h: Tensor) -> Tensor:
    p = torch.sigmoid(h)
    return p + h * (p - p * p)


def _within(function: Callable[[Tensor], Tensor], low: float, high: float) -> Callable[[Tensor], Tensor]:
    """Undefined outside, where torch goes on beyond a pole."""
    return lambda h: torch.where((h > low) & (h < high), function(h), torch.nan)


NAMED: dict[str, Curve] = {
    "exp": EXP, "log": LOG, "sqrt": SQRT, "rsqrt": RSQRT, "log1p": LOG1P, "expm1": EXPM1, "square": SQUARE,
    "reciprocal": RECIPROCAL, "sigmoid": s_shaped(SIGMOID), "tanh": s_shaped(TANH),
    "erf": Curve("erf", torch.erf, (0.0,)),
    "erfc": Curve("erfc", torch.erfc, (0.0,)), "exp2": Curve("exp2", torch.exp2), "log2": Curve("log2", torch.log2),
    "log10": Curve("log10", torch.log10), "sinh": Curve("sinh", torch.sinh, (0.0,)),
    "cosh": Curve("cosh", torch.cosh), "asinh": Curve("asinh", torch.asinh, (0.0,)),
    "acosh": Curve("acosh", torch.acosh), "atanh": Curve("atanh", torch.atanh, (0.0,)),
    "asin": Curve("asin", torch.asin, (0.0,)), "acos": Curve("acos", torch.acos, (0.0,)),
    "tan": Curve("tan", _within(torch.tan, -math.pi / 2, math.pi / 2), (0.0,)),
}  # fmt: skip
"""Functions of torch, by name, where no activation is seen."""
