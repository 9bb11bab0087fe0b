"""Tensors whose axes in the file are their last ones, with any number of axes of examples in front."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def lifted(x: Tensor, rank: int, to: int) -> Tensor:
    """x, whose last `rank` axes are the file's, with axes of extent one put before these until they are `to`."""
    if rank >= to:
        return x
    front = x.ndim - rank
    return x.reshape(*x.shape[:front], *[1] * (to - rank), *x.shape[front:])


def permuted(x: Tensor, order: Sequence[int]) -> Tensor:
    """The last axes of x in another order."""
    front = x.ndim - len(order)
    return x.permute(*range(front), *[front + axis for axis in order])


def reshaped(x: Tensor, rank: int, sizes: Sequence[int]) -> Tensor:
    """The last `rank` axes of x as others of the given sizes."""
    return x.reshape(*x.shape[: x.ndim - rank], *sizes)


def along(x: Tensor, axis: int) -> Tensor:
    """A vector, or vectors behind each other, so that it broadcasts along an axis counted from the end."""
    return x.reshape(*x.shape, *[1] * (-1 - axis))
