"""Where the rows of a batch are inside a layer's tensor: first, along another dimension, or folded into the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How to see a tensor as (B, ...), and back.

    Attributes:
        kind: "along" a dimension; or folded into the first one, each row's entries side by side ("blocks", as
            (B * T, ...) from (B, T, ...)), or the rows' entries in turn ("turns", as from (T, B, ...)).
        dim: that dimension, for "along".
        each: T, for the folded ones.
    """

    kind: Literal["along", "blocks", "turns"] = "along"
    dim: int = 0
    each: int = 1

    def rows_first(self, t: Tensor) -> Tensor:
        """A view of shape (B, ...)."""
        if self.kind == "along":
            return t.movedim(self.dim, 0) if self.dim else t
        if self.kind == "blocks":
            return t.reshape(-1, self.each, *t.shape[1:])
        return t.reshape(self.each, -1, *t.shape[1:]).transpose(0, 1)

    def back(self, t: Tensor) -> Tensor:
        """The inverse of `rows_first`."""
        if self.kind == "along":
            return t.movedim(0, self.dim) if self.dim else t
        return (t if self.kind == "blocks" else t.transpose(0, 1)).flatten(0, 1)

    def axis(self, dim: int) -> int | None:
        """Where dimension `dim` >= 0 of the tensor is in the view; None if it runs across rows."""
        if self.kind != "along":
            return dim + 1 if dim else None
        if dim == self.dim:
            return None
        return dim + 1 if dim < self.dim else dim


ROWS_FIRST = Layout()


def candidates(shape: tuple[int, ...], count: int) -> Iterator[Layout]:
    """The layouts that a tensor of this shape may have in a batch of `count` rows, the likeliest first."""
    for dim, extent in enumerate(shape):
        if extent == count:
            yield Layout(dim=dim)
    if shape and shape[0] > count and shape[0] % count == 0:
        yield Layout("blocks", each=shape[0] // count)
        yield Layout("turns", each=shape[0] // count)


def tell(shape: tuple[int, ...], count: int, changed: Tensor | None) -> Layout | None:
    """The layout of a layer.

    Args:
        changed: which entries (of that shape) changed when only the first row of the batch did; None if that was not
            tried, and then the likeliest layout is taken.

    Returns:
        None where no layout fits: the layer mixes rows, or holds none.
    """
    fitting = list(candidates(shape, count))
    if changed is None or count == 1:
        return fitting[0] if fitting else None
    if not changed.any():  # nothing of it depends on the first row, at these inputs
        return fitting[0] if len(fitting) == 1 else None
    return next((layout for layout in fitting if not layout.rows_first(changed)[1:].any()), None)


def differs(a: Tensor, b: Tensor) -> Tensor:
    """Which entries differ by more than rounding."""
    size = torch.maximum(a.abs(), b.abs()).clamp_min(torch.finfo(a.dtype).tiny)
    return (a - b).abs() > 64 * torch.finfo(a.dtype).eps * size
