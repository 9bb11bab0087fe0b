"""Small Wide ResNets (Zagoruyko & Komodakis 2016) with SiLUs in the place of ReLUs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from adrgd.models.vgg import PixelByPixel


class Block(nn.Module):
    """Batch normalisation, SiLU and convolution, twice, beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(channels), nn.SiLU())
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )
        same = stride == 1 and channels == width
        self.shortcut = None if same else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.before(x)
        shortcut = x if self.shortcut is None else self.shortcut(h)
        out: Tensor = shortcut + self.convolutions(h)
        return out


def wide_resnet(channels: int, widths: Sequence[int], *, depth: int = 1, classes: int = 10) -> nn.Sequential:
    """A convolution, stages of blocks, and one linear layer; all but the last halve the resolution; untrained.

    Takes images (B, channels, side, side) and returns logits (B, classes).

    Args:
        channels: of an image.
        widths: of the first convolution and of each stage.
        depth: blocks of each stage.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, 2, padding=1, bias=False)]
    for before, width in itertools.pairwise(widths):
        layers += [Block(before, width, 2), *(Block(width, width, 1) for _ in range(depth - 1))]
    layers += [nn.BatchNorm2d(widths[-1]), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return PixelByPixel(*layers, nn.Linear(widths[-1], classes))
