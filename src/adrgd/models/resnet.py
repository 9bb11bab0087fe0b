"""ResNets of 50 layers (He et al. 2016) and their wide relatives (Zagoruyko & Komodakis 2016).

Parameters bear torchvision's names, so that files of its weights fit.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Stride = Literal["first", "middle"]


class Bottleneck(nn.Module):
    """Convolutions of sizes 1, 3 and 1 beside a shortcut; the last ReLU follows the sum.

    Args:
        channels: that come in.
        width: of the 3 x 3 convolution.
        out: channels that go out.
        stride: of the block.
        where: the convolution that strides: the first (the original paper, Keras) or the middle one (torchvision).
        norm: batch normalisation behind each convolution; without it convolutions have biases.
    """

    def __init__(self, channels: int, width: int, out: int, stride: int, where: Stride, norm: bool) -> None:
        super().__init__()
        first, middle = (stride, 1) if where == "first" else (1, stride)
        self.conv1, self.bn1 = convolution(channels, width, 1, first, norm)
        self.conv2, self.bn2 = convolution(width, width, 3, middle, norm)
        self.conv3, self.bn3 = convolution(width, out, 1, 1, norm)
        self.relu = nn.ReLU(inplace=True)
        same = stride == 1 and channels == out
        self.downsample = None if same else nn.Sequential(*convolution(channels, out, 1, stride, norm))

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.bn1(self.conv1(x)))
        h = self.relu(self.bn2(self.conv2(h)))
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(self.bn3(self.conv3(h)) + shortcut)
        return out


class ResNet50(nn.Module):
    """Stages of 3, 4, 6 and 3 bottlenecks; takes images (B, 3, 224, 224), returns logits (B, classes).

    Args:
        factor: how many times as wide as ResNet-50's the 3 x 3 convolutions are.
        where, norm: see `Bottleneck`.
    """

    def __init__(self, *, factor: int = 1, classes: int = 1000, where: Stride = "middle", norm: bool = True) -> None:
        super().__init__()
        self.conv1, self.bn1 = convolution(3, 64, 7, 2, norm)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = 64
        for number, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
            stage = []
            for block in range(blocks):
                stride = 2 if block == 0 and number > 1 else 1
                stage.append(Bottleneck(channels, factor * width, 4 * width, stride, where, norm))
                channels = 4 * width
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(1, 5):
            h = self.get_submodule(f"layer{number}")(h)
        logits: Tensor = self.fc(self.avgpool(h).flatten(1))
        return logits


def convolution(channels: int, out: int, size: int, stride: int, norm: bool) -> tuple[nn.Conv2d, nn.Module]:
    """A convolution padded to keep the size at stride one, and what normalises its output."""
    conv = nn.Conv2d(channels, out, size, stride, padding=size // 2, bias=not norm)
    return conv, nn.BatchNorm2d(out) if norm else nn.Identity()
