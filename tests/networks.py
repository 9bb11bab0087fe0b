"""Small networks for the tests, in float64, and the same networks written out by hand."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Form = Callable[[Tensor], Tensor]

FORMS: dict[str, Form] = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu by keyword": lambda h: F.relu(input=h),
    "F.relu in place": lambda h: F.relu(h, inplace=True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda h: h.relu(),
    "Tensor.relu_": lambda h: h.relu_(),
    "relu_ whose answer is dropped": lambda h: (h.relu_(), h)[1],
    "relu_ on a view": lambda h: h.view(len(h), 2, -1).relu_().flatten(1),
    "nn.ReLU6": nn.ReLU6(),
    "nn.ReLU6 in place": nn.ReLU6(inplace=True),
    "F.relu6": F.relu6,
    "F.relu6 in place": lambda h: F.relu6(h, inplace=True),
    "nn.LeakyReLU": nn.LeakyReLU(0.2),
    "nn.LeakyReLU in place": nn.LeakyReLU(0.2, inplace=True),
    "F.leaky_relu": lambda h: F.leaky_relu(h, negative_slope=0.3),
    "F.leaky_relu_": lambda h: F.leaky_relu_(h, 0.1),
    "nn.Hardtanh": nn.Hardtanh(),
    "nn.Hardtanh in place": nn.Hardtanh(-0.5, 0.25, inplace=True),
    "F.hardtanh_": lambda h: F.hardtanh_(h, -0.5, 0.5),
    "nn.PReLU": nn.PReLU(dtype=torch.float64),
    "nn.PReLU by channel": nn.PReLU(6, dtype=torch.float64),
    "F.prelu": lambda h: F.prelu(h, torch.linspace(-0.5, 0.5, 6, dtype=torch.float64)),
    "nn.Threshold": nn.Threshold(0, 0),
    "F.threshold_": lambda h: F.threshold_(h, 0, 0),
    "clamp(min=0)": lambda h: h.clamp(min=0),
    "clamp(0)": lambda h: h.clamp(0),
    "clamp(0, 6)": lambda h: h.clamp(0, 6),
    "clamp_(min=0)": lambda h: h.clamp_(min=0),
    "clamp(max=0.25)": lambda h: h.clamp(max=0.25),
    "clamp(0.1)": lambda h: h.clamp(0.1),
    "clamp up to infinity": lambda h: h.clamp(0, float("inf")),
    "clamp from minus infinity": lambda h: h.clamp(-float("inf"), 0.25),
    "torch.clip": lambda h: torch.clip(h, -0.25, 0.25),
    "Tensor.clip_": lambda h: h.clip_(-0.25, 0.25),
    "clamp_min(0)": lambda h: h.clamp_min(0),
    "clamp_min_(0)": lambda h: h.clamp_min_(0),
    "clamp_max(0.25)": lambda h: h.clamp_max(0.25),
    "clamp_max_(0.25)": lambda h: h.clamp_max_(0.25),
    "aten.relu": torch.ops.aten.relu.default,
    "aten.relu6_": torch.ops.aten.relu6_.default,
}
"""Ways to write an elementwise activation of pre-activations (B, 6)."""


class Around(nn.Module):
    """Two linear layers around an activation of six neurons."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6, dtype=torch.float64), nn.Linear(6, 3, dtype=torch.float64)
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.form(self.first(x)))
        return out


class Mlp(nn.Module):
    """h_1 = W_1 x + b_1, h_i = W_i relu(h_(i-1)) + b_i; the last h is the output."""

    def __init__(self, *widths: int, seed: int = 0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=random, dtype=torch.float64)

        pairs = list(zip(widths[1:], widths, strict=False))
        self.W = [drawn(out, into) / into**0.5 for out, into in pairs]
        self.b = [drawn(out) / 3 for out, _ in pairs]

    def forward(self, x: Tensor) -> Tensor:
        for W, b in zip(self.W[:-1], self.b[:-1], strict=True):
            x = F.relu(x @ W.T + b)
        return x @ self.W[-1].T + self.b[-1]

    def by_hand(self, x: Tensor, gates: list[Tensor]) -> list[Tensor]:
        """Equation 3 for one row x (n,): every h, the output last."""
        h = [self.W[0] @ x + self.b[0]]
        for W, b, gate in zip(self.W[1:], self.b[1:], gates, strict=True):
            h.append(W @ torch.diag(gate) @ h[-1] + b)
        return h

    def rows_by_hand(self, gates: list[Tensor]) -> list[Tensor]:
        """Equation 10 for the gates of one row: the matrices P, (d_i, n), the output's last."""
        P = [self.W[0]]
        for W, gate in zip(self.W[1:], gates, strict=True):
            P.append(W @ torch.diag(gate) @ P[-1])
        return P


class Block(nn.Module):
    """A residual block: functional and in-place activations, one module used twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.a(x))
        out = self.b(out) + x
        out = torch.relu_(self.a(self.relu(out)))
        out = out + F.relu(x, inplace=False)
        return F.relu(out, inplace=True)


def small_cnn(seed: int = 0) -> nn.Sequential:
    """Images (B, 2, 6, 6) -> (B, 3), with nine activation calls of six kinds."""
    torch.manual_seed(seed)
    layers = [
        nn.Conv2d(2, 4, 3),
        nn.PReLU(4),
        Block(4),
        nn.AvgPool2d(2),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Flatten(),
        nn.Linear(16, 8),
        nn.ReLU6(),
        nn.Linear(8, 8),
        nn.Hardtanh(inplace=True),
        nn.Linear(8, 3),
    ]
    return nn.Sequential(*layers).double().eval().requires_grad_(False)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers of their own generator."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
