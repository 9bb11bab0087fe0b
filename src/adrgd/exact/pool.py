"""The boxes still to be searched."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Pool:
    """Boxes with an upper bound each, kept in growing tensors; the boxes with the largest bounds come out first."""

    def __init__(self, inputs: int, *, limit: int) -> None:
        """`limit` is the number of boxes from which on the smallest bounds are taken first, which keeps it there."""
        self._boxes = torch.empty(1024, 2, inputs, dtype=torch.float64)
        self._bounds = torch.empty(1024, dtype=torch.float64)
        self._size = 0
        self._limit = limit

    @staticmethod
    def bytes_per_box(inputs: int) -> int:
        """Memory that one box takes: two corners and a bound in float64."""
        return 8 * (2 * inputs + 1)

    def __len__(self) -> int:
        return self._size

    def highest(self) -> float:
        """The largest bound; minus infinity when empty."""
        return float(self._bounds[: self._size].max()) if self._size else -math.inf

    def add(self, lower: Tensor, upper: Tensor, bounds: Tensor) -> None:
        """Store boxes."""
        size = self._size + bounds.shape[0]
        if size > self._bounds.shape[0]:
            self._grow(max(size, self._bounds.shape[0] * 3 // 2))
        self._boxes[self._size : size, 0] = lower
        self._boxes[self._size : size, 1] = upper
        self._bounds[self._size : size] = bounds
        self._size = size

    def take(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Remove up to `count` boxes: their lower corners, upper corners and bounds."""
        count = min(count, self._size)
        bounds = self._bounds[: self._size]
        chosen = bounds.topk(count, largest=self._size <= self._limit, sorted=False).indices
        boxes, values = self._boxes[chosen], bounds[chosen]
        # The boxes at the end that stay fill the holes of those that leave.
        left = self._size - count
        leaving = torch.zeros(count, dtype=torch.bool)
        leaving[chosen[chosen >= left] - left] = True
        moving = (~leaving).nonzero().squeeze(1) + left
        holes = chosen[chosen < left]
        self._boxes[holes] = self._boxes[moving]
        self._bounds[holes] = self._bounds[moving]
        self._size = left
        return boxes[:, 0], boxes[:, 1], values

    def drop(self, threshold: float) -> int:
        """Forget the boxes whose bound is at most the threshold; how many those were."""
        before = self._size
        kept = (self._bounds[:before] > threshold).nonzero().squeeze(1)
        if kept.shape[0] < before:
            self._boxes[: kept.shape[0]] = self._boxes[kept]
            self._bounds[: kept.shape[0]] = self._bounds[kept]
            self._size = kept.shape[0]
        return before - self._size

    def _grow(self, capacity: int) -> None:
        boxes = torch.empty(capacity, *self._boxes.shape[1:], dtype=torch.float64)
        bounds = torch.empty(capacity, dtype=torch.float64)
        boxes[: self._size] = self._boxes[: self._size]
        bounds[: self._size] = self._bounds[: self._size]
        self._boxes, self._bounds = boxes, bounds
