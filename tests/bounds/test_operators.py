"""Every operator with bounds: no value is outside of them, and they are exact on a point."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.bounds.backward import Boxes, goal
from adrgd.bounds.margins import Margins
from adrgd.bounds.network import values_of
from adrgd.bounds.reading import read_network
from adrgd.bounds.refine import all_intervals
from adrgd.bounds.relaxation import relax
from adrgd.bounds.slopes import tighten

Function = Callable[[Tensor], Tensor]

SLOPES = torch.tensor([0.1, 1.7, -0.3], dtype=torch.float64)
MASK = torch.tensor([True, False, True, True, False, True])

CURVES: dict[str, Function] = {
    "gelu": F.gelu, "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu, "mish": F.mish,
    "softplus": F.softplus, "softplus, beta": lambda x: F.softplus(x, beta=3.0), "elu": F.elu,
    "elu, alpha": lambda x: F.elu(x, alpha=2.5), "selu": F.selu, "celu": lambda x: F.celu(x, alpha=0.4),
    "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "hardtanh": F.hardtanh, "relu6": F.relu6,
    "softsign": F.softsign, "leaky relu": lambda x: F.leaky_relu(x, 0.2), "abs": torch.abs,
    "clamp": lambda x: x.clamp(-0.4, 1.3), "logsigmoid": F.logsigmoid, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "erf": torch.erf, "atan": torch.atan, "tanhshrink": F.tanhshrink, "softshrink": F.softshrink, "sin": torch.sin,
    "cos": torch.cos, "exp": torch.exp, "log": lambda x: (x.abs() + 0.5).log(),
    "sqrt": lambda x: (x.abs() + 0.1).sqrt(),
    "log1p": lambda x: x.abs().log1p(), "square": torch.square, "cube": lambda x: x**3,
    "root of a power": lambda x: (x.abs() + 0.2) ** 0.7, "written silu": lambda x: x * torch.sigmoid(x),
    "written gelu": lambda x: 0.5 * x * (1 + torch.erf(x / 1.41421356)),
    "written softplus": lambda x: (1 + x.exp()).log(),
}  # fmt: skip
"""Of single numbers."""

OTHERS: dict[str, Function] = {
    "prelu of channels": lambda x: F.prelu(x.view(-1, 3, 2), SLOPES).flatten(1),
    "max pooling": lambda x: F.max_pool1d(x[:, None], 3, 2, padding=1).flatten(1),
    "max pooling, 2d": lambda x: F.max_pool2d(x.view(-1, 1, 2, 3), 2, 1).flatten(1),
    "average pooling": lambda x: F.avg_pool1d(x[:, None].tanh(), 3, 1).flatten(1),
    "adaptive max pooling": lambda x: F.adaptive_max_pool1d(x[:, None], 3).flatten(1),
    "maximum": lambda x: torch.maximum(x[:, :3], x[:, 3:]), "minimum": lambda x: torch.minimum(x[:, :3], x[:, 3:]),
    "amax": lambda x: x.amax(1, keepdim=True), "min": lambda x: x.view(-1, 2, 3).min(2).values,
    "product": lambda x: x[:, :3] * x[:, 3:], "product, broadcast": lambda x: x[:, :3] * x[:, 3:4],
    "quotient": lambda x: x[:, :3] / (1 + x[:, 3:].square()), "inverse": lambda x: 1 / (2 + x.tanh()),
    "softmax": lambda x: x.softmax(1), "log_softmax": lambda x: x.log_softmax(1),
    "logsumexp": lambda x: x.logsumexp(1, keepdim=True),
    "layer norm": lambda x: F.layer_norm(x, (6,), torch.arange(6.0).double(), torch.ones(6).double(), 0.1),
    "matrix product": lambda x: (x.view(-1, 2, 3) @ x.view(-1, 3, 2)).flatten(1),
    "where": lambda x: torch.where(MASK, x.tanh(), x * 2), "masked_fill": lambda x: x.sin().masked_fill(MASK, -3.0),
    "concatenation": lambda x: torch.cat([x.relu(), x.abs()[:, :2]], 1),
    "padding": lambda x: F.pad(x.sigmoid(), (1, 2)),
    "nearest": lambda x: F.interpolate(x[:, None].tanh(), scale_factor=2).flatten(1),
}  # fmt: skip
"""Of several."""


@pytest.mark.parametrize("width", [0.0, 0.1, 1.5, 8.0])
@pytest.mark.parametrize("name", [*CURVES, *OTHERS])
def test_no_value_is_outside_and_points_are_exact(name: str, width: float) -> None:
    torch.manual_seed(len(name))
    before = torch.randn(6, 6, dtype=torch.float64) / 2
    inner = (CURVES | OTHERS)[name]

    def function(x: Tensor) -> Tensor:
        return inner(x @ before.to(x)) * 1.5 - 0.25

    network = read_network(function, torch.zeros(1, 6), entries=0)
    centre = torch.randn(1, 6, dtype=torch.float64)
    box = Boxes(centre - width / 2, centre + width / 2)
    points = box.lower + torch.rand(400, 6, dtype=torch.float64) * (box.upper - box.lower)
    points[:100] = torch.where(torch.rand(100, 6) < 0.5, box.lower, box.upper)
    rows = torch.cat([torch.eye(network.outputs), torch.randn(3, network.outputs)])[None].double()
    exact = function(points) @ rows[0].T
    loose = 1e-4 if name.startswith("written") else 1e-9
    assert ((values_of(network, points) - function(points)).abs() <= loose * (1 + exact.abs().amax())).all()
    intervals = all_intervals(network, network, box)
    relaxations = [relax(*part) for part in zip(network.curves, *zip(*intervals, strict=True), strict=True)]
    margins = Margins(network, box.lower, box.upper).extend(intervals)
    offset = torch.zeros(rows.shape[:2], dtype=torch.float64)
    wanted = goal(network, len(network.sizes), rows, offset, None, margins)
    linear, _ = tighten(network, wanted, relaxations, box, steps=2, margins=margins)
    assert not (linear.value[0] > exact).any()
    if width == 0:
        assert ((exact.amin(0) - linear.value[0]).abs() <= 1e3 * loose * (1 + exact.abs().amax(0))).all()
    elif width == 0.1:
        assert linear.value.isfinite().all()
        assert (exact.amin(0) - linear.value[0] < 1 + 0.5 * (exact.amax(0) - exact.amin(0))).all()
