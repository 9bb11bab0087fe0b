"""ONNX operators that compare, combine truth values and choose.

What depends on the input is compared by the unit step of a difference and chosen by it, so that both have the soft
slope that jumps have: a truth value is 0 or 1 here, `not` is 1 - a, `and` the smaller and `or` the larger of two.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import BOOL
from adrgd.models.onnx.operators.arithmetic import same

Two = Callable[[Tensor, Tensor], Tensor]


def number(x: Tensor) -> Tensor:
    """Constant truth values, as torch calculates with them."""
    return x.to(torch.uint8) if x.dtype is torch.bool else x


def step(difference: Tensor, at_zero: float) -> Tensor:
    """0 below zero, 1 above it, with the slope of half a sign, which torch can derive where nobody softens it."""
    above = (difference >= 0 if at_zero else difference > 0).to(difference.dtype)
    half = torch.sign(difference) / 2
    return above + (half - half.detach())


def equal(a: Tensor, b: Tensor) -> Tensor:
    return 1 - torch.sign(number(a) - number(b)).abs()


def both(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(*same(number(a), number(b)))


def either(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(*same(number(a), number(b)))


def one_of_them(a: Tensor, b: Tensor) -> Tensor:
    return (number(a) - number(b)).abs()


def truth(constant: Two, varying: Two) -> Builder:
    """A relation, as it is between constants, and with a slope where an input of it depends on the model's."""

    def build(site: Site) -> Kernel:
        moving = any(site.varies(index) for index in (0, 1))
        return Kernel(varying if moving else constant, (0, 1), Reach.POINT, (BOOL,))

    return build


def negation(site: Site) -> Kernel:
    return Kernel((lambda x: 1 - x) if site.varies(0) else torch.logical_not, (0,), Reach.POINT, (BOOL,))


def choose(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where the condition holds, else b; the condition's own slope carries the difference between them."""
    a, b = same(a, b)
    if not condition.is_floating_point():
        return torch.where(condition, a, b)
    chosen = torch.where(condition.detach() != 0, a, b)
    if not chosen.is_floating_point():
        chosen = chosen.to(condition.dtype)
    weight = (number(a) - number(b)).detach().to(chosen.dtype).nan_to_num(0.0, 0.0, 0.0)
    return chosen + (condition - condition.detach()) * weight


def where(site: Site) -> Kernel:
    return Kernel(choose, (0, 1, 2), Reach.POINT, (site.kind(1),))


def is_infinite(site: Site) -> Kernel:
    ends = [torch.inf] * bool(site.attribute("detect_positive", 1))
    ends += [-torch.inf] * bool(site.attribute("detect_negative", 1))

    def run(x: Tensor) -> Tensor:
        found = torch.zeros_like(x, dtype=torch.bool)
        for end in ends:
            found = found | (x == end)
        return found.to(x.dtype)

    return Kernel(run, (0,), Reach.POINT, (BOOL,))


def is_nan(_: Site) -> Kernel:
    return Kernel(lambda x: torch.isnan(x).to(x.dtype), (0,), Reach.POINT, (BOOL,))


OPERATORS: dict[str, Builder] = {
    "And": truth(torch.logical_and, both),
    "Equal": truth(torch.eq, equal),
    "Greater": truth(torch.gt, lambda a, b: step(number(a) - number(b), 0.0)),
    "GreaterOrEqual": truth(torch.ge, lambda a, b: step(number(a) - number(b), 1.0)),
    "IsInf": is_infinite,
    "IsNaN": is_nan,
    "Less": truth(torch.lt, lambda a, b: step(number(b) - number(a), 0.0)),
    "LessOrEqual": truth(torch.le, lambda a, b: step(number(b) - number(a), 1.0)),
    "Not": negation,
    "Or": truth(torch.logical_or, either),
    "Where": where,
    "Xor": truth(torch.logical_xor, one_of_them),
}
