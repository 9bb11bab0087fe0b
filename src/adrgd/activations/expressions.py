"""Activations that a network writes out: x * sigmoid(x), x * (x > 0), where(x > 0, x, exp(x) - 1), log(1 + exp(x)), ...

Elementwise operations on one tensor make a function of one number. It is followed through a forward pass, and where two
factors of the same tensor are multiplied, divided or chosen between, the function is compared with the known ones by
its values: how it is written does not matter. What is recognised is one activation, whose factors are not softened
for themselves: the product of two mean slopes is not the mean slope of a product.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from adrgd.activations.found import Found
from adrgd.activations.known import known

JOINING = frozenset(
    (
        "mul",
        "__mul__",
        "__rmul__",
        "multiply",
        "div",
        "__truediv__",
        "true_divide",
        "divide",
        "where",
        "masked_fill",
        "pow",
        "__pow__",
        "__rpow__",
        "log",
        "log1p",
        "reciprocal",
        "__rdiv__",
        "__rtruediv__",
        "sqrt",
    )
)
"""Operations that can complete an activation. Sums cannot: the mean slope of a sum is the sum of the mean slopes."""

FOLLOWED = JOINING | frozenset(
    (
        "add",
        "__add__",
        "__radd__",
        "sub",
        "__sub__",
        "__rsub__",
        "rsub",
        "subtract",
        "neg",
        "__neg__",
        "negative",
        "square",
        "exp",
        "expm1",
        "erf",
        "sigmoid",
        "tanh",
        "softplus",
        "relu",
        "relu6",
        "clamp",
        "clamp_min",
        "clamp_max",
        "hardtanh",
        "hardsigmoid",
        "abs",
        "gt",
        "ge",
        "lt",
        "le",
        "__gt__",
        "__ge__",
        "__lt__",
        "__le__",
        "greater",
        "less",
        "sign",
        "heaviside",
        "float",
        "double",
        "half",
        "bfloat16",
        "to",
        "type_as", "zeros_like", "ones_like", "full_like",
        "logsigmoid",
        "elu",
    )
)
BENDING = frozenset(
    (
        "pow",
        "__pow__",
        "__rpow__",
        "log",
        "log1p",
        "reciprocal",
        "__rdiv__",
        "__rtruediv__",
        "sqrt",
        "masked_fill",
    )
)
MASKS = frozenset(
    (
        "gt",
        "ge",
        "lt",
        "le",
        "__gt__",
        "__ge__",
        "__lt__",
        "__le__",
        "greater",
        "less",
    )
)


@dataclass(frozen=True)
class Expression:
    """A function of one number, applied to every entry of `base`.

    Attributes:
        base: what it is applied to; not kept alive.
        version: of base, to notice that it was overwritten.
        key: how it is written; two expressions with one key are the same function.
        run: the function, on any tensor.
        parts: the numbers of the activation calls in it.
        linear: a multiple of base plus a constant.
        joined: made of several parts that depend on base, or by a function that bends one.
    """

    base: weakref.ref[Tensor]
    version: int
    key: tuple[Any, ...]
    run: Callable[[Tensor], Tensor]
    parts: frozenset[int]
    linear: bool
    joined: bool


class Expressions:
    """Follows elementwise functions through one forward pass.

    Attributes:
        broken: the numbers of calls that are factors of something that was not recognised.
    """

    def __init__(self) -> None:
        self.of: dict[int, tuple[weakref.ref[Tensor], int, Expression]] = {}
        self.broken: set[int] = set()

    def note(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], answer: Any, found: Found | None, layer: int
    ) -> None:
        """Remember that `answer` is an elementwise function of something, if it is one.

        Args:
            found, layer: the activation that the call was recognised as, and its number.
        """
        if not isinstance(answer, Tensor) or (found is not None and (found.name or found.in_place)):
            return
        expression = self._build(func, args, kwargs)
        if expression is None:
            return
        if found is not None:
            expression = replace(expression, parts=expression.parts | {layer}, linear=False)
        if len(self.of) > 4096:
            self.of = {key: entry for key, entry in self.of.items() if entry[0]() is not None}
        self.of[id(answer)] = (weakref.ref(answer), answer._version, expression)

    def match(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        """The activation that this call completes."""
        if _name(func) not in JOINING:
            return None
        expression = self._build(func, args, kwargs)
        base = None if expression is None else expression.base()
        if expression is None or base is None or not expression.joined or not base.is_floating_point():
            return None
        phi = known(expression.key, expression.run)
        if phi is None:
            self.broken |= expression.parts
            return None
        return Found(base, phi, name=f"{phi.name}, written out", parts=expression.parts)

    def depends(self, mask: Tensor) -> bool:
        """Whether a mask was made by comparing numbers that gradients flow through."""
        entry = self.of.get(id(mask))
        if entry is None or entry[0]() is not mask:
            return False
        base = entry[2].base()
        return base is not None and base.requires_grad

    def _build(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Expression | None:
        name = _name(func)
        if name not in FOLLOWED or not args or "out" in kwargs:
            return None
        operands: list[Expression | float] = []
        for value in (*args, *kwargs.values()):
            operand = self._operand(value, name)
            if operand is None:
                return None
            operands.append(operand)
        moving = [operand for operand in operands if isinstance(operand, Expression)]
        if not moving or any(operand.base() is not moving[0].base() for operand in moving):
            return None
        if all(operand.key == ("x",) for operand in moving) and len(moving) > 1 and name not in MASKS:
            return None  # x * x and its like
        keys = tuple(o.key if isinstance(o, Expression) else o for o in operands)
        words = tuple(kwargs)
        count = len(args)

        def run(t: Tensor) -> Tensor:
            values = [o.run(t) if isinstance(o, Expression) else o for o in operands]
            result: Tensor = func(*values[:count], **dict(zip(words, values[count:], strict=True)))
            return result

        straight = len(moving) == 1 and moving[0].linear and name in _STRAIGHT and not isinstance(args[0], float | int)
        linear = straight or (len(moving) == 1 and moving[0].linear and name in _STRAIGHT_BOTH)
        parts = frozenset[int]().union(*(operand.parts for operand in moving))
        joined = len(moving) > 1 or name in BENDING
        return Expression(moving[0].base, moving[0].version, (name, *keys, *words), run, parts, linear, joined)

    def _operand(self, value: Any, name: str) -> Expression | Any | None:
        if not isinstance(value, Tensor):
            return value if isinstance(value, float | int | str | torch.dtype | bool) else None
        entry = self.of.get(id(value))
        if entry is not None and entry[0]() is value and entry[1] == value._version:
            expression = entry[2]
            base = expression.base()
            if base is not None and base._version == expression.version:
                return expression
        if value.dim() == 0 and not value.requires_grad:
            return float(value)
        return Expression(weakref.ref(value), value._version, ("x",), lambda t: t, frozenset(), True, False)


class Nothing(Expressions):
    """Follows nothing: for networks that are known to write no activation out."""

    def note(self, *args: Any) -> None:
        return None

    def match(self, *args: Any) -> None:
        return None


_STRAIGHT = frozenset(
    (
        "div",
        "__truediv__",
        "true_divide",
        "divide",
        "float",
        "double",
        "half",
        "bfloat16",
        "to",
        "type_as",
    )
)
_STRAIGHT_BOTH = frozenset(
    (
        "mul",
        "__mul__",
        "__rmul__",
        "multiply",
        "add",
        "__add__",
        "__radd__",
        "sub",
        "__sub__",
        "__rsub__",
        "rsub",
        "subtract",
        "neg",
        "__neg__",
        "negative",
    )
)
_names: dict[Any, str] = {}


def _name(func: Any) -> str:
    if func not in _names:
        _names[func] = str(getattr(func, "__name__", "")).partition(".")[0]
    return _names[func]
