"""Images resized and padded at random before they reach the network (Xie et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adrgd.errors import UsageError


class ResizedAndPadded(nn.Module):
    """A network that sees each batch at a random size, at a random place within zeros.

    Args:
        model: takes images (B, C, H, W), returns logits (B, classes).
        least: the smallest height; the largest is `size`.
        size: the height and width that the network takes; those of the images unless given.

    Raises:
        UsageError: the sizes make no sense.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], least: int, size: int | None = None) -> None:
        super().__init__()
        if least < 1 or (size is not None and size < least):
            raise UsageError(f"expected sizes of at least 1, the least first; found {least} and {size}; correct them")
        self.model, self.least, self.size = model, least, size
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        most = x.shape[-1] if self.size is None else self.size
        if x.dim() != 4 or most < self.least:
            raise UsageError(
                f"expected images (B, C, H, W) of at least {self.least} pixels, found shape {tuple(x.shape)}"
            )
        size, left, top = (int(torch.randint(2**31, ())) for _ in range(3))
        size = self.least + size % (most - self.least + 1)
        left, top = left % (most - size + 1), top % (most - size + 1)
        small = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
        return self.model(F.pad(small, (left, most - size - left, top, most - size - top)))
