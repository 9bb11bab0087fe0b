"""Calls that change the type of numbers, or nothing at all, where types stand for what they mean.

Truth values and whole numbers that depend on the input are kept as floating-point ones; so are detached tensors, whose
numbers depend on the input as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NAMED = {
    "float": torch.float32, "double": torch.float64, "half": torch.float16, "bfloat16": torch.bfloat16,
    "long": torch.int64, "int": torch.int32, "short": torch.int16, "char": torch.int8, "byte": torch.uint8,
    "bool": torch.bool,
}  # fmt: skip
CASTS = frozenset([*NAMED, "to", "type", "type_as"])
SAME = frozenset(["detach", "nan_to_num", "requires_grad_"])
"""Calls that give what they are given, if it is finite."""


def target(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.dtype | None:
    """The type that a call turns numbers into; None where it leaves it."""
    if name in NAMED:
        return NAMED[name]
    for value in (*args[1:], *kwargs.values()):
        if isinstance(value, torch.dtype):
            return value
        if isinstance(value, Tensor):
            return value.dtype
    return None
