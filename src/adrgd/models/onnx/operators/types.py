"""ONNX operators that turn numbers of one type into another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import BOOL, FEW_BITS, FLOATING, KEPT_AS, RANGES, shortened, wrapped

Convert = Callable[[Tensor], Tensor]


def cast(site: Site) -> Kernel:
    return _to(site, int(site.attribute("to", 0)))


def cast_like(site: Site) -> Kernel:
    return _to(site, site.kind(1))


def _to(site: Site, target: int) -> Kernel:
    source = site.kind()
    if target not in FLOATING and target not in KEPT_AS:
        raise site.unsupported("to turn numbers into another type")
    saturate = bool(site.attribute("saturate", 1))
    make = _of_constants if not site.varies(0) else _of_what_varies
    return Kernel(make(source, target, saturate), (0,), Reach.POINT, (target,))


def _of_constants(source: int, target: int, saturate: bool) -> Convert:
    if target in FLOATING:
        # in double precision, so that folding constants loses nothing but what the file wants lost
        return lambda x: shortened(x.double(), target, saturate=saturate)
    if target == BOOL:
        return lambda x: x != 0
    low, high = RANGES[target]

    def run(x: Tensor) -> Tensor:
        if x.is_floating_point() and high - low >= 2**FEW_BITS - 1:
            return x.trunc().clamp(low, high).to(torch.int64).to(KEPT_AS[target])
        return wrapped(x.to(torch.int64), target).to(KEPT_AS[target])

    return run


def _of_what_varies(source: int, target: int, saturate: bool) -> Convert:
    """It is floating-point already and keeps the precision the caller chose; truncation has the slope of stairs."""
    if target in FLOATING:
        return lambda x: shortened(x, target, saturate=saturate)
    if source in (BOOL, target):
        return lambda x: x
    if target == BOOL:
        return lambda x: torch.sign(x).abs()
    low, high = RANGES[target]
    few = high - low < 2**FEW_BITS - 1
    if source in FLOATING:
        return (lambda x: wrapped(torch.trunc(x), target)) if few else torch.trunc
    narrower = low > RANGES[source][0] or high < RANGES[source][1]
    return (lambda x: wrapped(x, target)) if narrower else (lambda x: x)


OPERATORS: dict[str, Builder] = {"Cast": cast, "CastLike": cast_like}
