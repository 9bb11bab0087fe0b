"""What a forward pass costs, counted rather than timed, so that the same file gives the same search everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

PRODUCTS: set[Callable[..., Any]] = {F.linear, torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.mm, torch.bmm}
CONVOLUTIONS: set[Callable[..., Any]] = {F.conv1d, F.conv2d, F.conv3d}
TRANSPOSED: set[Callable[..., Any]] = {F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d}


class Operations(TorchFunctionMode):
    """Counts the multiplications of matrix products and convolutions inside it, and one for any other number made.

    `torch.utils.flop_counter` says nearly the same, but takes a second to begin: more than most searches.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.count += out.numel() * _each(func, args) if func not in TRANSPOSED else _spread(args)
        return out


def _each(func: Callable[..., Any], args: tuple[Any, ...]) -> int:
    """Multiplications for each number of the result."""
    if func in PRODUCTS:
        return int(args[0].shape[-1])
    return int(args[1][0].numel()) if func in CONVOLUTIONS else 1


def _spread(args: tuple[Any, ...]) -> int:
    """Multiplications of a transposed convolution: each number of its input meets a whole kernel."""
    return int(args[0].numel() * args[1][0].numel())
