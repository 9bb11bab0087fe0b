"""Small ConvNeXts (Liu et al. 2022): depthwise convolutions and pointwise layers with GELU, layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ConvNeXt(nn.Module):
    """Stages of residual blocks, each stage at half the resolution of the one before; untrained.

    Takes images (B, channels, side, side) and returns logits (B, classes). The head sees every place, and not their
    mean: digits are told apart by where their strokes are.

    Args:
        shape: of one image.
        widths: channels of each stage.
        depth: blocks of each stage.
        expansion: how many times as wide a block is between its pointwise layers.
    """

    def __init__(
        self, shape: tuple[int, int, int], widths: Sequence[int], *, depth: int, expansion: int = 3, classes: int = 10
    ) -> None:
        super().__init__()
        channels, side, _ = shape
        stages: list[nn.Module] = []
        for width in widths:
            stages.append(nn.Conv2d(channels, width, 4, 2, padding=1))
            stages += [Block(width, expansion) for _ in range(depth)]
            channels, side = width, side // 2
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels * side * side, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stages(x.contiguous(memory_format=torch.channels_last))  # where both halves of a block are quickest
        h = self.norm(h.permute(0, 2, 3, 1))
        logits: Tensor = self.head(h.flatten(1))
        return logits


class Block(nn.Module):
    """A depthwise convolution and two pointwise layers with a GELU between them, beside a shortcut."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.pointwise = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.pointwise(self.depthwise(x).permute(0, 2, 3, 1))  # channels last, where they are normalised
        out: Tensor = x + h.permute(0, 3, 1, 2)
        return out
