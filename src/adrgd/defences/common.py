"""One draw for all rows of a batch, so that a row's noise depends on nothing but the draw.

A random network draws for the batch as a whole: what a row gets depends on its place there, and changes when other
rows are dropped. While `CommonDraws` is active each random call draws for one row, and all rows get that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.overrides import TorchFunctionMode

LIKE = {torch.rand_like, torch.randn_like, torch.randint_like}
"""Draws of a given tensor's shape."""

SIZED = {torch.rand, torch.randn}
"""Draws of a given shape."""

IN_PLACE = {Tensor.normal_, Tensor.uniform_, Tensor.exponential_, Tensor.log_normal_, Tensor.cauchy_, Tensor.random_}
"""Draws into a tensor."""

DROPOUT = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d}


class CommonDraws(TorchFunctionMode):
    """While active, random calls of a batch of `count` rows draw for one row, and repeat it for all.

    Draws of a given shape are those of a batch where that shape begins with `count` and goes on. What is drawn by other
    functions is left to them.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        first = args[0] if args else options.get("input")
        if func in SIZED:
            return self._sized(func, args, options)
        if not isinstance(first, Tensor) or not first.dim() or len(first) != self.count or self.count < 2:
            return func(*args, **options)
        if func in LIKE and args:
            return func(first[:1], *args[1:], **options).repeat(self.count, *[1] * (first.dim() - 1))
        if func in IN_PLACE and not any(isinstance(other, Tensor) for other in args[1:]):
            with torch.no_grad():
                return first.copy_(func(first[:1].detach().clone(), *args[1:], **options))
        if func in DROPOUT:
            return _dropout(func, first, *args[1:], **options)
        if func in (torch.bernoulli, Tensor.bernoulli) and len(args) == 1 and not options:
            return (torch.rand_like(first[:1]) < first).to(first)
        return func(*args, **options)

    def _sized(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        shape = args[0] if len(args) == 1 and isinstance(args[0], Size | tuple | list) else args
        if len(shape) < 2 or shape[0] != self.count or not all(isinstance(size, int) for size in shape):
            return func(*args, **options)
        return func(1, *shape[1:], **options).repeat(self.count, *[1] * (len(shape) - 1))


def _dropout(
    func: Callable[..., Tensor], x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if not training or not p:
        return x
    kept = func(torch.ones_like(x[:1]), p, True)
    return x.mul_(kept) if inplace else x * kept
