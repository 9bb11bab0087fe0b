"""Small networks of many kinds, one output each, for benchmarks/verdict_kinds.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

INPUTS = 6
SIDE = 6  # of the images of convolutional kinds


class Apply(nn.Module):
    """A function of tensors as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Branches(nn.Module):
    """Two parts that see the same input, and what joins them."""

    def __init__(self, one: nn.Module, other: nn.Module, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.one, self.other, self.join = one, other, join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.one(x), self.other(x))


class Attention(nn.Module):
    """One head over three tokens, with a residual branch."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 2, 2)
        return x + weights @ self.value(x)


class Recurrent(nn.Module):
    """The last state of a recurrent layer over three steps."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.layer(x.reshape(-1, 3, 2))[0]
        return states[:, 2]


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "leaky relu": lambda: nn.LeakyReLU(0.1), "prelu": lambda: nn.PReLU(8), "relu6": nn.ReLU6,
    "elu": nn.ELU, "selu": nn.SELU, "celu": lambda: nn.CELU(0.7), "gelu": nn.GELU,
    "gelu, tanh": lambda: nn.GELU("tanh"), "silu": nn.SiLU, "mish": nn.Mish, "softplus": nn.Softplus,
    "softsign": nn.Softsign, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "log sigmoid": nn.LogSigmoid,
    "tanh shrink": nn.Tanhshrink, "hard tanh": nn.Hardtanh, "hard swish": nn.Hardswish,
    "hard sigmoid": nn.Hardsigmoid, "soft shrink": nn.Softshrink, "hard shrink": lambda: nn.Hardshrink(0.3),
    "threshold": lambda: nn.Threshold(0.0, 0.0), "abs": lambda: Apply(torch.abs),
    "clamp": lambda: Apply(lambda x: x.clamp(-0.5, 0.7)), "exp": lambda: Apply(torch.exp),
    "sin": lambda: Apply(torch.sin), "cos": lambda: Apply(torch.cos), "square": lambda: Apply(torch.square),
    "cube": lambda: Apply(lambda x: x**3), "sqrt": lambda: Apply(lambda x: torch.sqrt(x.abs() + 0.1)),
    "log": lambda: Apply(lambda x: torch.log(x.abs() + 0.3)),
    "reciprocal": lambda: Apply(lambda x: 1 / (x.abs() + 0.5)), "softmax": lambda: nn.Softmax(1),
    "log softmax": lambda: nn.LogSoftmax(1), "glu": lambda: nn.Sequential(nn.Linear(8, 16), nn.GLU(1)),
    "layer norm": lambda: nn.Sequential(nn.LayerNorm(8), nn.ReLU()), "sign": lambda: Apply(torch.sign),
    "floor": lambda: Apply(torch.floor), "round": lambda: Apply(torch.round), "ceil": lambda: Apply(torch.ceil),
    "step": lambda: Apply(lambda x: (x > 0.2).float()), "whole numbers": lambda: Apply(lambda x: (2 * x).int().float()),
    "between": lambda: Apply(lambda x: ((x > -0.3) & (x <= 0.8)).float() * x),
    "masked": lambda: Apply(lambda x: x.masked_fill(x.roll(1, 1) < 0.1, 0.5)),
    "root mean square": lambda: Apply(lambda x: x / (x.square().mean(1, keepdim=True) + 0.1).sqrt()),
    "standard deviation": lambda: Apply(lambda x: x / (1 + x.std(1, keepdim=True))),
    "sorted": lambda: Apply(lambda x: x.sort(1).values),
}  # fmt: skip


def _mlp(activation: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Linear(INPUTS, 8), activation(), nn.Linear(8, 8), activation(), nn.Linear(8, 1)
    )  # fmt: skip


def _image(*middle: nn.Module, size: int) -> nn.Module:
    return nn.Sequential(
        Apply(lambda x: x.reshape(-1, 1, SIDE, SIDE)), nn.Conv2d(1, 3, 3, padding=1), *middle, nn.Flatten(),
        nn.Linear(size, 8), nn.ReLU(), nn.Linear(8, 1),
    )  # fmt: skip


def _normed() -> nn.Module:
    norm = nn.BatchNorm2d(3)
    norm.running_mean, norm.running_var = torch.randn(3) * 0.3, torch.rand(3) + 0.5
    return norm


def _tail(width: int) -> list[nn.Module]:
    return [nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 1)]


WHOLE = SIDE * SIDE
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: _image(nn.ReLU(), size=3 * WHOLE),
    "max pooling": lambda: _image(nn.ReLU(), nn.MaxPool2d(2), size=3 * WHOLE // 4),
    "max pooling, overlapping": lambda: _image(nn.MaxPool2d(3, 2, 1), size=3 * WHOLE // 4),
    "average pooling": lambda: _image(nn.ReLU(), nn.AvgPool2d(2), size=3 * WHOLE // 4),
    "global average": lambda: _image(nn.ReLU(), nn.AdaptiveAvgPool2d(1), size=3),
    "global maximum": lambda: _image(nn.AdaptiveMaxPool2d(1), size=3),
    "batch norm": lambda: _image(_normed(), nn.ReLU(), size=3 * WHOLE),
    "instance norm": lambda: _image(nn.InstanceNorm2d(3, affine=True), nn.ReLU(), size=3 * WHOLE),
    "group norm": lambda: _image(nn.GroupNorm(1, 3), nn.ReLU(), size=3 * WHOLE),
    "residual block": lambda: _image(
        nn.ReLU(),
        Branches(
            nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1)), nn.Identity(),
            torch.add,
        ),
        nn.ReLU(), size=3 * WHOLE,
    ),
    "grouped convolution": lambda: _image(nn.ReLU(), nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(), size=96),
    "dilated convolution": lambda: _image(nn.ReLU(), nn.Conv2d(3, 2, 2, dilation=2), nn.ReLU(), size=32),
    "transposed convolution": lambda: _image(nn.ReLU(), nn.ConvTranspose2d(3, 2, 2, 2), nn.ReLU(), size=8 * WHOLE),
    "transposed convolution, padded": lambda: _image(
        nn.ReLU(), nn.ConvTranspose2d(3, 2, 3, 2, 1, output_padding=1, dilation=1), nn.ReLU(), size=8 * WHOLE
    ),
    "convolution, one axis": lambda: nn.Sequential(
        Apply(lambda x: x.reshape(-1, 1, INPUTS)), nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 2, 3),
        nn.ReLU(), nn.Flatten(), *_tail(8),
    ),
    "convolution, three axes": lambda: nn.Sequential(
        Apply(lambda x: x.reshape(-1, 1, 1, 2, 3)), nn.Conv3d(1, 4, (1, 2, 2)), nn.ReLU(), nn.Flatten(), *_tail(8),
    ),
    "upsampling, nearest": lambda: _image(nn.ReLU(), nn.Upsample(scale_factor=2), size=12 * WHOLE),
    "upsampling, bilinear": lambda: _image(
        nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear"), size=12 * WHOLE
    ),
    "padding, reflected": lambda: _image(
        nn.ReLU(), nn.ReflectionPad2d(1), nn.Conv2d(3, 2, 3), nn.ReLU(), size=2 * WHOLE
    ),
    "concatenation": lambda: nn.Sequential(
        Branches(
            nn.Linear(INPUTS, 4), nn.Sequential(nn.Linear(INPUTS, 4), nn.ReLU()), lambda a, b: torch.cat([a, b], 1)
        ),
        *_tail(8),
    ),
    "maximum of two": lambda: nn.Sequential(
        Branches(nn.Linear(INPUTS, 8), nn.Linear(INPUTS, 8), torch.maximum), *_tail(8)
    ),
    "minimum of two": lambda: nn.Sequential(
        Branches(nn.Linear(INPUTS, 8), nn.Linear(INPUTS, 8), torch.minimum), *_tail(8)
    ),
    "product of two": lambda: nn.Sequential(
        Branches(nn.Linear(INPUTS, 8), nn.Linear(INPUTS, 8), torch.mul), *_tail(8)
    ),
    "quotient of two": lambda: nn.Sequential(
        Branches(nn.Linear(INPUTS, 8), nn.Linear(INPUTS, 8), lambda a, b: a / (b.abs() + 1)), *_tail(8)
    ),
    "choice": lambda: nn.Sequential(
        Branches(nn.Linear(INPUTS, 8), nn.Linear(INPUTS, 8), lambda a, b: torch.where(a > 0, a, b)), *_tail(8)
    ),
    "sum and mean": lambda: nn.Sequential(
        nn.Linear(INPUTS, 8), nn.ReLU(), Apply(lambda x: torch.stack([x.sum(1), x.mean(1)], 1)), *_tail(2)
    ),
    "largest of all": lambda: nn.Sequential(
        nn.Linear(INPUTS, 8), Apply(lambda x: torch.cat([x.amax(1, keepdim=True), x], 1)), *_tail(9)
    ),
    "slices and turns": lambda: nn.Sequential(
        nn.Linear(INPUTS, 12), nn.ReLU(), Apply(lambda x: x.reshape(-1, 3, 4).transpose(1, 2)[:, 1:].flatten(1)),
        *_tail(9),
    ),
    "gathered": lambda: nn.Sequential(
        nn.Linear(INPUTS, 8), nn.ReLU(), Apply(lambda x: x[:, torch.tensor([3, 0, 3, 5])]), *_tail(4)
    ),
    "two largest": lambda: nn.Sequential(nn.Linear(INPUTS, 6), Apply(lambda x: x.topk(2, 1).values), *_tail(2)),
    "place of the largest": lambda: nn.Sequential(
        nn.Linear(INPUTS, 4), Apply(lambda x: torch.cat([x, x.argmax(1, keepdim=True).float()], 1)), *_tail(5)
    ),
    "sum of products": lambda: nn.Sequential(
        nn.Linear(INPUTS, 8), Apply(lambda x: x.reshape(-1, 2, 4)),
        Apply(lambda x: torch.einsum("bij,bkj->bik", x, x.tanh())), nn.Flatten(), *_tail(4),
    ),
    "running sum": lambda: nn.Sequential(nn.Linear(INPUTS, 8), nn.ReLU(), Apply(lambda x: x.cumsum(1)), *_tail(8)),
    "attention": lambda: nn.Sequential(
        nn.Linear(INPUTS, 12), Apply(lambda x: x.reshape(-1, 3, 4)), Attention(), nn.Flatten(), *_tail(12)
    ),
    "lstm": lambda: nn.Sequential(Recurrent(nn.LSTM(2, 4, batch_first=True)), *_tail(4)),
    "gru": lambda: nn.Sequential(Recurrent(nn.GRU(2, 4, batch_first=True)), *_tail(4)),
    "rnn": lambda: nn.Sequential(Recurrent(nn.RNN(2, 4, batch_first=True)), *_tail(4)),
}  # fmt: skip
KINDS: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda activation=activation: _mlp(activation) for name, activation in ACTIVATIONS.items()}, **LAYERS,
}  # fmt: skip
