"""Max-pooling: which entry of each window is the largest, and how likely each of them is to be so under noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

POOLS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


@dataclass(frozen=True)
class MaxPool:
    """The largest entry of each window over the last axes, with one number an axis for each of torch's arguments."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool

    is_relu = False
    is_flat = False
    name = "max_pool"

    def value(self, h: Tensor) -> Tensor:
        pool = POOLS[len(self.size)]
        out: Tensor = pool(h, self.size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return out

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> WindowWeights:
        """Weights exp(h / scale) that sum to one in each window.

        Of two entries with independent noise of deviations s1, s2 the first is larger with probability
        Phi((h1 - h2) / sqrt(s1^2 + s2^2)): the window's scale is the root of twice its mean of (s / 1.702)^2.
        """
        windows = self._windows(h)
        square = (left / inverse).square_().expand_as(h)
        scale = torch.stack(list(windows.of(square, 0.0))).mean(0).mul_(2).sqrt_()
        entries = torch.stack(list(windows.of(h, -torch.inf)))
        entries -= entries.amax(0)
        entries /= scale.clamp_min_(torch.finfo(h.dtype).tiny)
        return WindowWeights(windows, entries.softmax(0))

    def _windows(self, h: Tensor) -> Windows:
        shape = h.shape[-len(self.size) :]
        counts, after = [], []
        for k, extent in enumerate(shape):
            reach = self.dilation[k] * (self.size[k] - 1) + 1
            rest = extent + 2 * self.padding[k] - reach
            count = (-(-rest // self.stride[k]) if self.ceil_mode else rest // self.stride[k]) + 1
            if self.ceil_mode and (count - 1) * self.stride[k] >= extent + self.padding[k]:
                count -= 1  # torch drops a window that would begin in the padding
            counts.append(count)
            after.append(max(0, (count - 1) * self.stride[k] + reach - extent - self.padding[k]))
        return Windows(self, tuple(shape), tuple(counts), tuple(after))


@dataclass(frozen=True)
class Windows:
    """Where the windows of a pooling lie on inputs whose last axes have this shape.

    Attributes:
        counts: windows along each axis.
        after: how far the last window reaches beyond the end of each axis.
    """

    pool: MaxPool
    shape: tuple[int, ...]
    counts: tuple[int, ...]
    after: tuple[int, ...]

    def of(self, h: Tensor, outside: float) -> Iterator[Tensor]:
        """The first entry of every window, then the second, ...: views into a padded copy of h."""
        pairs = [w for k in reversed(range(len(self.shape))) for w in (self.pool.padding[k], self.after[k])]
        return self._views(F.pad(h, pairs, value=outside))

    def _views(self, padded: Tensor) -> Iterator[Tensor]:
        pool = self.pool
        for offset in product(*map(range, pool.size)):
            index: list[Any] = [...]
            for k, at in enumerate(offset):
                first = at * pool.dilation[k]
                index.append(slice(first, first + (self.counts[k] - 1) * pool.stride[k] + 1, pool.stride[k]))
            yield padded[tuple(index)]

    def add_up(self, parts: Tensor) -> Tensor:
        """The transpose of `of`: parts (entries of a window, ..., windows) added where they belong."""
        pool, count = self.pool, len(self.shape)
        extents = [self.shape[k] + pool.padding[k] + self.after[k] for k in range(count)]
        padded = parts.new_zeros((*parts.shape[1:-count], *extents))
        for view, part in zip(self._views(padded), parts, strict=True):
            view += part
        inner: list[Any] = [slice(pool.padding[k], pool.padding[k] + self.shape[k]) for k in range(count)]
        return padded[(..., *inner)]


@dataclass(frozen=True)
class WindowWeights:
    """The slope of a softened max-pooling: the weight of each entry of each window."""

    windows: Windows
    weights: Tensor

    def push(self, difference: Tensor) -> Tensor:
        entries = torch.stack(list(self.windows.of(difference, 0.0)))
        return (self.weights * entries).sum(0)

    def pull(self, gradient: Tensor) -> Tensor:
        return self.windows.add_up(self.weights * gradient)
