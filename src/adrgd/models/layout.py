"""Networks that have the channels of an image last, as TensorFlow and Keras do, behind ours, which come first."""

from __future__ import annotations

from torch import Tensor, nn

FIRST, LAST = "NCHW", "NHWC"


class ChannelsLast(nn.Module):
    """A module that takes (B, H, W, C), as one that takes (B, C, H, W)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.module(x.movedim(1, -1))
        return result


def to_first(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """(C, H, W) from (H, W, C)."""
    return None if shape is None else (shape[-1], *shape[:-1])
