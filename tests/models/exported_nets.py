"""Small networks of every common kind, to be written by exporters."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    def __init__(self, phi: nn.Module, norm: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            norm(), phi, nn.Conv2d(8, 8, 3, padding=1), norm(), phi, nn.Conv2d(8, 8, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def residual(phi: nn.Module, norm: Callable[[], nn.Module]) -> nn.Module:
    body = [nn.Conv2d(3, 8, 3, stride=2, padding=1), Residual(phi, norm), Residual(phi, norm)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.deep, self.norm = nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.LayerNorm(8)
        self.up, self.down, self.scale = nn.Linear(8, 16), nn.Linear(16, 8), nn.Parameter(torch.full((8,), 0.5))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.scale * self.down(F.gelu(self.up(y)))
        return self.head((x + y.permute(0, 3, 1, 2)).mean((2, 3)))


class Attention(nn.Module):
    """A vision transformer of one block, its heads written out or as the call of torch."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.patch, self.place = nn.Conv2d(3, 16, 8, stride=8), nn.Parameter(torch.randn(1, 5, 16))
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.first, self.second = nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp, self.head = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        q, k, v = self.qkv(self.first(x)).reshape(x.shape[0], 5, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        plain = F.scaled_dot_product_attention if self.fused else written_out
        y = plain(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(x.shape[0], 5, 16))
        return self.head((x + self.mlp(self.second(x)))[:, 0])


def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v


class Sequence(nn.Module):
    def __init__(self, layer: type[nn.Module], *, both: bool) -> None:
        super().__init__()
        self.layer = layer(6, 8, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(8 * (1 + both), 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


IMAGE, SEQUENCE, CODE = (3, 16, 16), (7, 6), (10,)

NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 16), nn.ELU(), nn.Linear(16, 5)), CODE),
    "cnn": (lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.LeakyReLU(0.1), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3),
                                  nn.ReLU6(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)), IMAGE),
    "resnet": (lambda: residual(nn.ReLU(), lambda: nn.BatchNorm2d(8)), IMAGE),
    "wide resnet, silu": (lambda: residual(nn.SiLU(), lambda: nn.BatchNorm2d(8)), IMAGE),
    "group norm, mish": (lambda: residual(nn.Mish(), lambda: nn.GroupNorm(4, 8)), IMAGE),
    "instance norm, hardswish": (lambda: residual(nn.Hardswish(), lambda: nn.InstanceNorm2d(8, affine=True)), IMAGE),
    "convnext": (ConvNeXt, IMAGE),
    "vit": (lambda: Attention(fused=False), IMAGE),
    "vit, fused": (lambda: Attention(fused=True), IMAGE),
    "lstm": (lambda: Sequence(nn.LSTM, both=True), SEQUENCE),
    "gru": (lambda: Sequence(nn.GRU, both=False), SEQUENCE),
    "transformer": (lambda: nn.Sequential(nn.TransformerEncoderLayer(6, 2, 12, batch_first=True, norm_first=True),
                                          nn.Flatten(), nn.Linear(42, 5)), SEQUENCE),
    "generator": (lambda: nn.Sequential(nn.Linear(10, 32), nn.Unflatten(1, (2, 4, 4)), nn.Upsample(scale_factor=2),
                                        nn.Conv2d(2, 4, 3, padding=1), nn.Softplus(),
                                        nn.Upsample(scale_factor=2, mode="bilinear"),
                                        nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1), nn.Tanh()), CODE),
    "pixel shuffle, selu": (lambda: nn.Sequential(nn.Linear(10, 64), nn.SELU(), nn.Unflatten(1, (4, 4, 4)),
                                                  nn.PixelShuffle(2), nn.CELU(0.7)), CODE),
}  # fmt: skip
