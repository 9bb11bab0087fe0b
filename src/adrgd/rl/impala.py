"""The convolutional network of IMPALA, with ReLUs: the usual one for Procgen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

CHANNELS = (16, 32, 32)
"""Of IMPALA's three stages."""


class Impala(BaseFeaturesExtractor):
    """Three stages of a convolution, a pooling to half the size, and two residual blocks; then one linear layer.

    Images (B, C, H, W) in [0, 1] -> features (B, features).

    Args:
        channels: of the stages.
        stride: of the first convolution: IMPALA's own is 1, and 2 costs a quarter of it.
    """

    def __init__(
        self, space: spaces.Box, channels: Sequence[int] = CHANNELS, stride: int = 1, features: int = 256
    ) -> None:
        super().__init__(space, features)
        inside = space.shape[0]
        stages: list[nn.Module] = []
        for out in channels:
            stages += [nn.Conv2d(inside, out, 3, stride, 1), nn.MaxPool2d(3, 2, 1), Residual(out), Residual(out)]
            inside, stride = out, 1
        self.stages = nn.Sequential(*stages, nn.ReLU(), nn.Flatten())
        self.stages.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.no_grad():
            flat = self.stages(torch.zeros(1, *space.shape)).shape[1]
        self.last = nn.Linear(flat, features)

    def forward(self, images: Tensor) -> Tensor:
        seen = images.contiguous(memory_format=torch.channels_last)  # twice as fast on processors
        return F.relu(self.last(self.stages(seen)))


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + inner
