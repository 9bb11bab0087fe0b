"""ONNX operators that compute with numbers, entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import RANGES, wrapped


def unary(run: Callable[[Tensor], Tensor]) -> Builder:
    return lambda _: Kernel(run, (0,), Reach.POINT)


def binary(run: Callable[[Tensor, Tensor], Tensor]) -> Builder:
    return lambda site: Kernel(run, pair(site), Reach.POINT)


def pair(site: Site) -> tuple[int | Tensor, ...]:
    """Two inputs; before opset 7 the second one says at which axis of the first its own begin."""
    axis = site.attribute("axis", None)
    behind = 0 if axis is None or site.node.opset >= 7 else site.rank() - site.axis(axis) - site.rank(1)
    if behind <= 0:
        return (0, 1)
    given = site.constant(1)
    return (0, 1) if given is None else (0, given.reshape(*given.shape, *[1] * behind))


def folded(run: Callable[[Tensor, Tensor], Tensor], *, mean: bool = False) -> Builder:
    """Any number of inputs, put together two by two."""

    def build(site: Site) -> Kernel:
        inputs = site.given()
        share = 1 / len(inputs) if mean and inputs else 1.0

        def together(*parts: Tensor) -> Tensor:
            whole = reduce(run, parts)
            return whole * share if mean else whole

        return Kernel(together, inputs, Reach.POINT)

    return build


def divide(site: Site) -> Kernel:
    # whole numbers are divided by truncation; they occur in the arithmetic of shapes
    if site.whole():
        return Kernel(lambda a, b: torch.div(a, b, rounding_mode="trunc"), (0, 1), Reach.POINT)
    return Kernel(torch.true_divide, pair(site), Reach.POINT)


def modulo(site: Site) -> Kernel:
    return Kernel(torch.fmod if site.attribute("fmod", 0) else torch.remainder, (0, 1), Reach.POINT)


def power(site: Site) -> Kernel:
    exponent = site.constants[1]
    if site.varies(0) and exponent is not None and exponent.numel() == 1 and exponent.ndim <= site.rank():
        value = float(exponent)
        if site.node.opset < 7 or not (site.whole() and value < 0):
            return Kernel(lambda x: torch.pow(x, value), (0,), Reach.POINT)

    def run(x: Tensor, y: Tensor) -> Tensor:
        return torch.pow(x if x.is_floating_point() else x.double(), y)

    return Kernel(run, (0, 1), Reach.POINT)


def larger(a: Tensor, b: Tensor) -> Tensor:
    """max(a, b); where one of them is not a number, neither is the answer."""
    return torch.maximum(*same(a, b))


def smaller(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(*same(a, b))


def same(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors of one type, that of the one which holds fractions."""
    if a.dtype == b.dtype:
        return a, b
    common = torch.promote_types(a.dtype, b.dtype)
    return a.to(common), b.to(common)


def bitwise(run: Callable[..., Tensor]) -> Builder:
    """On the bits of whole numbers; those that depend on the input have no slope there."""

    def build(site: Site) -> Kernel:
        kind, moving = site.kind(), any(site.varies(index) for index in site.given())

        def on_bits(*parts: Tensor) -> Tensor:
            result = wrapped(run(*[part.long() for part in parts]), kind)
            return result.to(next(part.dtype for part in parts if part.is_floating_point())) if moving else result

        return Kernel(on_bits, site.given(), Reach.POINT)

    return build


def shift(site: Site) -> Kernel:
    low, high = RANGES.get(site.kind(), (0, 0))
    width = (high - low).bit_length()
    left = site.attribute("direction", "LEFT") == "LEFT"

    def run(a: Tensor, b: Tensor) -> Tensor:
        beyond = (b < 0) | (b >= width)
        if left:
            return torch.where(beyond, 0, a << b.clamp(0, 63))
        return torch.where(beyond, -(a < 0).long(), a >> b.clamp(0, 63))

    return bitwise(run)(site)


OPERATORS: dict[str, Builder] = {
    "Abs": unary(torch.abs),
    "Acos": unary(torch.acos),
    "Acosh": unary(torch.acosh),
    "Add": binary(torch.add),
    "Asin": unary(torch.asin),
    "Asinh": unary(torch.asinh),
    "Atan": unary(torch.atan),
    "Atanh": unary(torch.atanh),
    "BitShift": shift,
    "BitwiseAnd": bitwise(torch.bitwise_and),
    "BitwiseNot": bitwise(torch.bitwise_not),
    "BitwiseOr": bitwise(torch.bitwise_or),
    "BitwiseXor": bitwise(torch.bitwise_xor),
    "Ceil": unary(torch.ceil),
    "Cos": unary(torch.cos),
    "Cosh": unary(torch.cosh),
    "Div": divide,
    "Erf": unary(torch.erf),
    "Exp": unary(torch.exp),
    "Floor": unary(torch.floor),
    "Log": unary(torch.log),
    "Max": folded(larger),
    "Mean": folded(torch.add, mean=True),
    "Min": folded(smaller),
    "Mod": modulo,
    "Mul": binary(torch.mul),
    "Neg": unary(torch.neg),
    "Pow": power,
    "Reciprocal": unary(torch.reciprocal),
    "Round": unary(torch.round),
    "Sign": unary(torch.sign),
    "Sin": unary(torch.sin),
    "Sinh": unary(torch.sinh),
    "Sqrt": unary(torch.sqrt),
    "Sub": binary(torch.sub),
    "Sum": folded(torch.add),
    "Tan": unary(torch.tan),
}
