"""The types of numbers that a file knows, and how each is kept here.

Constants of whole numbers and of truth values stay what they are. Everything that depends on the input is kept as
floating-point numbers of the precision that the caller chose, whole numbers and truth values (0 and 1) as well: so that
gradients pass through what rounds, compares and chooses, with the soft slopes of `adrgd.activations`.
"""

from __future__ import annotations

import onnx
import torch
from torch import Tensor

_T = onnx.TensorProto

FLOAT, BOOL, INT64, UINT8 = int(_T.FLOAT), int(_T.BOOL), int(_T.INT64), int(_T.UINT8)

FLOATS = frozenset(int(one) for one in (_T.FLOAT, _T.DOUBLE, _T.FLOAT16, _T.BFLOAT16))

KEPT_AS: dict[int, torch.dtype] = {
    _T.BOOL: torch.bool, _T.UINT8: torch.uint8, _T.INT8: torch.int8, _T.INT16: torch.int16, _T.INT32: torch.int32,
    _T.INT64: torch.int64, _T.UINT16: torch.int32, _T.UINT32: torch.int64, _T.UINT64: torch.int64,
}  # fmt: skip
"""Constants of whole numbers, by their type in the file: torch does not count in all of them."""

RANGES: dict[int, tuple[int, int]] = {
    _T.UINT8: (0, 2**8 - 1), _T.INT8: (-(2**7), 2**7 - 1), _T.UINT16: (0, 2**16 - 1), _T.INT16: (-(2**15), 2**15 - 1),
    _T.UINT32: (0, 2**32 - 1), _T.INT32: (-(2**31), 2**31 - 1), _T.UINT64: (0, 2**64 - 1),
    _T.INT64: (-(2**63), 2**63 - 1),
}  # fmt: skip
"""The least and the largest number of a type; files of newer formats have more, of four bits and two."""

SHORT: dict[int, torch.dtype] = {_T.FLOAT16: torch.float16, _T.BFLOAT16: torch.bfloat16}
"""Floating-point types that hold fewer digits than this project computes with."""

for _name, _dtype in (
    ("FLOAT8E4M3FN", "float8_e4m3fn"), ("FLOAT8E4M3FNUZ", "float8_e4m3fnuz"), ("FLOAT8E5M2", "float8_e5m2"),
    ("FLOAT8E5M2FNUZ", "float8_e5m2fnuz"),
):  # fmt: skip
    if hasattr(_T, _name) and hasattr(torch, _dtype):
        SHORT[getattr(_T, _name)] = getattr(torch, _dtype)

for _name, _bounds in (("UINT4", (0, 15)), ("INT4", (-8, 7)), ("UINT2", (0, 3)), ("INT2", (-2, 1))):
    if hasattr(_T, _name):
        RANGES[getattr(_T, _name)] = _bounds
        KEPT_AS[getattr(_T, _name)] = torch.int8

FLOAT4 = int(getattr(_T, "FLOAT4E2M1", -1))
FLOATING = {_T.FLOAT, _T.DOUBLE, *SHORT, FLOAT4}
NUMBERS = {*FLOATING, *KEPT_AS}

FEW_BITS = 8
"""Whole numbers with fewer values than two to this power wrap around where fractions are cast to them, too."""


def kind_of(tensor: Tensor) -> int:
    """The file's type of a constant that was made here."""
    if tensor.is_floating_point():
        return FLOAT
    return next((kind for kind, dtype in KEPT_AS.items() if dtype is tensor.dtype), INT64)


def wrapped(x: Tensor, kind: int) -> Tensor:
    """Whole numbers as those of a type that has fewer: its largest is followed by its least."""
    low, high = RANGES.get(kind, (0, 2**63))
    return x if high >= 2**62 else (x - low) % (high - low + 1) + low


def shortened(x: Tensor, kind: int, *, saturate: bool = True) -> Tensor:
    """x rounded to a floating-point type; the gradient passes as if it were not."""
    if kind == FLOAT4:
        return _in_four_bits(x)
    dtype = SHORT.get(kind)
    if dtype is None:
        return x
    most = torch.finfo(dtype).max
    if dtype.itemsize > 1:
        return x.to(dtype).to(x.dtype)
    short = x.clamp(-most, most).to(dtype).to(x.dtype)
    if saturate:
        return short
    beyond = x.abs() >= most * OVERFLOW[dtype]
    return torch.where(beyond, x.sign() * torch.inf if dtype is torch.float8_e5m2 else torch.nan, short)


def _in_four_bits(x: Tensor) -> Tensor:
    """The nearest of 0, .5, 1, 1.5, 2, 3, 4, 6 and their negatives; half-way to the one whose last bit is zero."""
    size, near = x.abs(), torch.zeros_like(x)
    for edge, height in ((0.25, 0.5), (1.25, 0.5), (2.5, 1.0), (5.0, 2.0)):
        near = near + height * (size > edge)
    for edge, height in ((0.75, 0.5), (1.75, 0.5), (3.5, 1.0)):
        near = near + height * (size >= edge)
    near = near * x.detach().sign()
    return near.detach() + (x - x.detach()).nan_to_num(0.0, 0.0, 0.0)


OVERFLOW = {torch.float8_e4m3fn: 464 / 448, torch.float8_e4m3fnuz: 248 / 240, torch.float8_e5m2: 61440 / 57344,
            torch.float8_e5m2fnuz: 61440 / 57344}  # fmt: skip
"""Where rounding leaves a type of eight bits, in units of its largest number."""
