"""VGG networks for images of 32 x 32 pixels (Simonyan & Zisserman 2015), with batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

VGG19 = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)
VGG11_QUARTER = ((16,), (32,), (64,) * 2, (128,) * 2, (128,) * 2)  # a quarter of VGG11's channels in every layer
SMALL = ((16,) * 2, (32,) * 2, (64,) * 2)


class PixelByPixel(nn.Sequential):
    """Layers that compute with the channels of a pixel side by side, where convolutions are quickest on a processor."""

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = super().forward(input.contiguous(memory_format=torch.channels_last))  # type: ignore[no-untyped-call]
        return out


def vgg(stages: Sequence[Sequence[int]], *, classes: int = 10) -> nn.Sequential:
    """3 x 3 convolutions with ReLUs, max-pooling behind each stage, and one linear layer; untrained.

    Takes images (B, 3, 32, 32) and returns logits (B, classes).
    """
    layers: list[nn.Module] = []
    channels = 3
    for stage in stages:
        for width in stage:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    side = 32 // 2 ** len(stages)
    return PixelByPixel(*layers, nn.Flatten(), nn.Linear(channels * side * side, classes))
