"""What a notebook shows of results: shapes and ranges instead of whole tensors."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from torch import Tensor


class Shown:
    """A short `repr` for dataclasses that hold tensors: put it among the bases, and `repr=False` on the class."""

    def __repr__(self) -> str:
        kept: Any = self
        parts = [f"{field.name}={short(getattr(self, field.name))}" for field in fields(kept) if field.repr]
        return f"{type(self).__name__}({', '.join(parts)})"


def short(value: Any) -> str:
    """A tensor as its type, shape and range; anything else as it is, if it is not long."""
    if not isinstance(value, Tensor):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:77]}..."
    shape = " x ".join(map(str, value.shape)) or "1"
    kind = str(value.dtype).removeprefix("torch.")
    if not value.numel():
        return f"<{kind} {shape}>"
    if kind == "bool":
        return f"<{int(value.sum())} of {value.numel()} true>"
    if value.is_complex():
        return f"<{kind} {shape}>"
    low, high = value.min().item(), value.max().item()
    return f"<{kind} {shape}: {low:.4g}>" if low == high else f"<{kind} {shape}: {low:.4g} to {high:.4g}>"
