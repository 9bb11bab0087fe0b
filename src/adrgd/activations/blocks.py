"""Long chains of elementwise operations, a block of the tensor at a time: what is in between stays in the cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 32768  # numbers; fewer cost more calls than they save memory traffic


def in_blocks(run: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """run(a, b), which acts entry by entry, of a's shape; b broadcasts to a."""
    if a.numel() <= BLOCK:
        return run(a, b)
    out = torch.empty_like(a)
    flat = [_flat(t) for t in (a, b, out)] if a.shape == b.shape and a.stride() == b.stride() == out.stride() else []
    if flat and all(view is not None for view in flat):
        blocks = [torch.split(view, BLOCK) for view in flat if view is not None]
    else:
        rows = max(1, BLOCK * len(a) // a.numel())
        blocks = [torch.split(t, rows) for t in (a, b.expand_as(a), out)]
    for part_a, part_b, part_out in zip(*blocks, strict=True):
        part_out.copy_(run(part_a, part_b))
    return out


def _flat(t: Tensor) -> Tensor | None:
    """All entries in the order of the memory, without a copy; None where they do not lie side by side."""
    if t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last):
        t = t.permute(0, 2, 3, 1)
    return t.view(-1) if t.is_contiguous() else None
