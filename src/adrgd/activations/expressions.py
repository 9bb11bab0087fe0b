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
        "square",
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
        "ne",
        "__ne__",
        "detach",
        "sign",
        "heaviside",
        "float",
        "double",
        "half",
        "bfloat16",
        "to",
        "type_as",
        "zeros_like",
        "ones_like",
        "full_like",
        "logsigmoid",
        "elu",
    )
)
BENDING = frozenset(
    (
        "pow",
        "square",
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
ITSELF = ("x",)
DEPTH = 6  # tensors back that something may be a function of


@dataclass(frozen=True)
class Expression:
    """A function of one number, applied to every entry of `base`.

    Attributes:
        base: what it is applied to; not kept alive.
        version: of base, to notice that it was overwritten.
        key: how it is written; two expressions with one key are the same function.
        run: the function, on any tensor.
        parts: the numbers of the activation calls in it.
        joined: made of several parts that depend on base, or by a function that bends one.
    """

    base: weakref.ref[Tensor]
    version: int
    key: tuple[Any, ...]
    run: Callable[[Tensor], Tensor]
    parts: frozenset[int] = frozenset()
    joined: bool = False


class Expressions:
    """Follows elementwise functions through one forward pass.

    A tensor is a function of itself, of what it was made from, of what that was made from, and so on: what is written
    with a scaled tensor is an activation of that tensor, and that is tried before what lies further back.

    Attributes:
        broken: the numbers of calls that are factors of something that was not recognised.
    """

    def __init__(self) -> None:
        self.of: dict[int, tuple[weakref.ref[Tensor], int, list[Expression]]] = {}
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
        expressions = self._build(func, args, kwargs)
        if not expressions:
            return
        if found is not None:
            expressions = [replace(expression, parts=expression.parts | {layer}) for expression in expressions]
        if len(self.of) > 4096:
            self.of = {key: entry for key, entry in self.of.items() if entry[0]() is not None}
        self.of[id(answer)] = (weakref.ref(answer), _version(answer), expressions)

    def match(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        """The activation that this call completes."""
        if _name(func) not in JOINING:
            return None
        for expression in (joined := [e for e in self._build(func, args, kwargs) if e.joined]):
            base, phi = expression.base(), known(expression.key, expression.run)
            if phi is not None and base is not None and base.is_floating_point():
                return Found(base, phi, name=f"{phi.name}, written out", parts=expression.parts)
        for expression in joined:
            self.broken |= expression.parts
        return None

    def depends(self, mask: Tensor) -> bool:
        """Whether a mask was made by comparing numbers that gradients flow through."""
        bases = [expression.base() for expression in self._known(mask)]
        return any(base is not None and base.requires_grad for base in bases)

    def _build(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Expression]:
        """What the call computes, as a function of each tensor that all its operands are functions of."""
        name = _name(func)
        if name not in FOLLOWED or not args or "out" in kwargs:
            return []
        operands = [self._operand(value) for value in (*args, *kwargs.values())]
        moving = [operand for operand in operands if isinstance(operand, list)]
        if not moving or any(operand is None for operand in operands):
            return []
        built = []
        for first in moving[0]:
            chosen = [next((e for e in operand if e.base() is first.base()), None) for operand in moving]
            if all(e is not None for e in chosen):
                rest = iter(chosen)
                values = [next(rest) if isinstance(operand, list) else operand for operand in operands]
                built.append(_combined(func, name, values, len(args), tuple(kwargs), first))
        return built[:DEPTH]

    def _operand(self, value: Any) -> list[Expression] | Any:
        """A number as it is; a tensor as functions of tensors; None for what makes no function of one number."""
        if not isinstance(value, Tensor):
            return value if isinstance(value, float | int | str | torch.dtype) else None
        known_as = self._known(value)
        if not known_as and value.dim() == 0 and not value.requires_grad:
            return float(value)
        return [Expression(weakref.ref(value), _version(value), ITSELF, lambda t: t), *known_as]

    def _known(self, value: Tensor) -> list[Expression]:
        entry = self.of.get(id(value))
        if entry is None or entry[0]() is not value or entry[1] != _version(value):
            return []
        return [e for e in entry[2] if (base := e.base()) is not None and _version(base) == e.version]


class Nothing(Expressions):
    """Follows nothing: for networks that are known to write no activation out."""

    def note(self, *args: Any) -> None:
        return None

    def match(self, *args: Any) -> None:
        return None


def _combined(
    func: Any, name: str, values: list[Any], count: int, words: tuple[str, ...], first: Expression
) -> Expression:
    """func(*values[:count], **values[count:]) on expressions of one base, that of `first`."""
    parts = [value for value in values if isinstance(value, Expression)]

    def run(t: Tensor) -> Tensor:
        numbers = [value.run(t) if isinstance(value, Expression) else value for value in values]
        result: Tensor = func(*numbers[:count], **dict(zip(words, numbers[count:], strict=True)))
        return result

    key = (name, *(value.key if isinstance(value, Expression) else value for value in values), *words)
    numbers = frozenset[int]().union(*(part.parts for part in parts))
    return Expression(first.base, first.version, key, run, numbers, len(parts) > 1 or name in BENDING)


_names: dict[Any, str] = {}


def _version(t: Tensor) -> int:
    """How often t was overwritten; inference tensors do not count it."""
    return -1 if t.is_inference() else t._version


def _name(func: Any) -> str:
    if func not in _names:
        _names[func] = str(getattr(func, "__name__", "")).partition(".")[0]
    return _names[func]
