"""Every operator with bounds: no value is outside of them, and they are exact on a point."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.bounds.backward import Boxes, backward, goal
from adrgd.bounds.lines import forward
from adrgd.bounds.network import Matrices, values_of
from adrgd.bounds.outputs import bound_outputs
from adrgd.bounds.reading import read_network
from adrgd.bounds.relaxation import relax
from adrgd.bounds.rounding import rounding_slack

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
    "sign": torch.sign, "floor": torch.floor, "ceil": torch.ceil, "round": torch.round, "trunc": torch.trunc,
    "round, decimals": lambda x: torch.round(x, decimals=1), "hardshrink": F.hardshrink,
    "threshold": lambda x: F.threshold(x, 0.2, -1.0), "step": lambda x: (x > 0.1).double(),
    "heaviside": lambda x: torch.heaviside(x, torch.tensor(0.3, dtype=x.dtype)),
    "whole": lambda x: (3 * x).long().double(), "remainder": lambda x: x % 0.7, "fmod": lambda x: x.fmod(0.7),
    "floored quotient": lambda x: x // 0.4, "equal": lambda x: 1.0 - ((2 * x).round() == 1).double(),
    "written soft shrink": lambda x: torch.where(x > 0.3, x - 0.3, torch.where(x < -0.3, x + 0.3, 0.0)),
    "sinh": torch.sinh, "cosh": torch.cosh, "asinh": torch.asinh, "acosh": lambda x: (x.abs() + 1.1).acosh(),
    "atanh": lambda x: (0.9 * x.tanh()).atanh(), "asin": lambda x: (0.9 * x.sin()).asin(),
    "acos": lambda x: (0.9 * x.sin()).acos(), "tan": lambda x: (1.4 * x.tanh()).tan(), "exp2": torch.exp2,
    "log2": lambda x: (x.abs() + 0.5).log2(), "log10": lambda x: (x.abs() + 0.5).log10(), "erfc": torch.erfc,
    "constant power": lambda x: 1.7**x,
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
    "log_softmax, large": lambda x: (x + 2000).log_softmax(1) + torch.zeros_like(x),
    "logsumexp": lambda x: x.logsumexp(1, keepdim=True),
    "layer norm": lambda x: F.layer_norm(x, (6,), torch.arange(6.0).double(), torch.ones(6).double(), 0.1),
    "matrix product": lambda x: (x.view(-1, 2, 3) @ x.view(-1, 3, 2)).flatten(1),
    "where": lambda x: torch.where(MASK, x.tanh(), x * 2), "masked_fill": lambda x: x.sin().masked_fill(MASK, -3.0),
    "concatenation": lambda x: torch.cat([x.relu(), x.abs()[:, :2]], 1),
    "padding": lambda x: F.pad(x.sigmoid(), (1, 2)),
    "where, of data": lambda x: torch.where(x[:, :3] > x[:, 3:], x[:, 3:].tanh(), 2 * x[:, :3]),
    "masked_fill, of data": lambda x: x.masked_fill(x.roll(1, 1) <= 0.2, 0.7),
    "truth values": lambda x: (((x > 0) & (x.roll(1, 1) > 0)) | ~(x.roll(2, 1) < 0.5)).double(),
    "exclusive or": lambda x: torch.logical_xor(x > 0, x.roll(1, 1) >= 0.1).double() * x.roll(3, 1),
    "sort": lambda x: x.sort(1).values, "topk": lambda x: x.topk(2, 1).values,
    "smallest": lambda x: x.topk(2, 1, largest=False).values,
    "argmax": lambda x: x.argmax(1, keepdim=True).double(), "argmin": lambda x: x.argmin(1).double()[:, None],
    "gather": lambda x: x.gather(1, x.roll(1, 1).argmax(1, keepdim=True)),
    "scatter": lambda x: x.scatter(1, x.argmax(1, keepdim=True), 0.5),
    "group norm": lambda x: F.group_norm(x.view(-1, 2, 3), 2, torch.tensor([0.5, 2.0]).double()).flatten(1),
    "instance norm": lambda x: F.instance_norm(x.view(-1, 2, 3), eps=0.1).flatten(1),
    "rms norm": lambda x: F.rms_norm(x, (6,), torch.arange(6.0).double(), 0.1),
    "normalize": lambda x: F.normalize(x + 3), "length": lambda x: torch.linalg.vector_norm(x, 2, 1, keepdim=True),
    "length, order 1": lambda x: x.norm(1, 1, keepdim=True), "length, order 3": lambda x: x.norm(3, 1, keepdim=True),
    "variance": lambda x: x.var(1, keepdim=True), "deviation": lambda x: (x + MASK).std(1, keepdim=True),
    "product of all": lambda x: (1 + x.tanh()).prod(1, keepdim=True), "products so far": lambda x: x.sin().cumprod(1),
    "einsum": lambda x: torch.einsum("bij,bkj->bki", x.view(-1, 2, 3), x.tanh().view(-1, 2, 3)).flatten(1),
    "einsum, dots": lambda x: torch.einsum(
        "...ij,...kj->...ik", x.view(-1, 1, 2, 3), x.tanh().view(-1, 1, 2, 3)
    ).flatten(1),
    "einsum, constant": lambda x: torch.einsum("bi,ji->bj", x.tanh(), torch.eye(6).double()[:4] + 0.1),
    "power of two": lambda x: (x[:, :3].abs() + 0.5) ** x[:, 3:].tanh(),
    "log of sums": lambda x: torch.logaddexp(x[:, :3], x[:, 3:]),
    "attention": lambda x: F.scaled_dot_product_attention(*[x.view(-1, 3, 2)] * 3).flatten(1),
    "attention, causal": lambda x: F.scaled_dot_product_attention(*[x.view(-1, 3, 2)] * 3, is_causal=True).flatten(1),
    "softmax, masked": lambda x: (x + torch.tensor([0, 0, -torch.inf, 0, 0, 0]).double()).softmax(1),
    "running sum": lambda x: x.tanh().cumsum(1), "without gradient": lambda x: x.tanh() + (x.sin() - x).detach(),
    "bilinear": lambda x: F.interpolate(x.view(-1, 1, 2, 3), scale_factor=2, mode="bilinear").flatten(1),
    "convolution, transposed": lambda x: F.conv_transpose1d(
        x[:, None].relu(), SLOPES.view(1, 1, 3), stride=2, padding=1, output_padding=1, dilation=2
    ).flatten(1),
    "nearest": lambda x: F.interpolate(x[:, None].tanh(), scale_factor=2).flatten(1),
}  # fmt: skip
"""Of several."""


WIDTHS = (0.0, 0.1, 1.5, 8.0)
JUMPS = ("floor", "ceil", "trunc", "round", "step")


@pytest.mark.parametrize("name", [*CURVES, *OTHERS])
def test_no_value_is_outside_and_points_are_exact(name: str) -> None:
    torch.manual_seed(len(name))
    before = torch.randn(6, 6, dtype=torch.float64) / 2
    inner = (CURVES | OTHERS)[name]

    def function(x: Tensor) -> Tensor:
        return inner(x @ before.to(x)) * 1.5 - 0.25

    network = read_network(function, torch.zeros(1, 6), entries=0)
    rows = torch.cat([torch.eye(network.outputs), torch.randn(3, network.outputs)])[None].double()
    loose = 1e-4 if name.startswith("written") else 1e-9
    jumps = any(curve.name in JUMPS for curve in network.curves)
    for width in WIDTHS:
        centre = torch.randn(1, 6, dtype=torch.float64)
        box = Boxes(centre - width / 2, centre + width / 2)
        points = box.lower + torch.rand(400, 6, dtype=torch.float64) * (box.upper - box.lower)
        points[:100] = torch.where(torch.rand(100, 6) < 0.5, box.lower, box.upper)
        exact = function(points) @ rows[0].T
        assert ((values_of(network, points) - function(points)).abs() <= loose * (1 + exact.abs().amax())).all()
        linear = bound_outputs(network, box, rows, steps=2)
        assert not (linear.value[0] > exact).any(), width
        if width == 0:
            assert ((exact.amin(0) - linear.value[0]).abs() <= 1e3 * loose * (1 + exact.abs().amax(0))).all()
        elif width == 0.1:
            room = 8 if jumps else 1  # a jump that no point is beyond
            assert (exact.amin(0) - linear.value[0] < room + 0.5 * (exact.amax(0) - exact.amin(0))).all()


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "round", "trunc", "step", "threshold", "hardshrink"])
@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 10.0])
def test_either_side_of_a_jump_is_seen(name: str, size: float) -> None:
    """Intervals that end at a jump, lie beside one, or hold many, at all scales."""
    network = read_network(CURVES[name], torch.zeros(1, 1))
    assert isinstance(network, Matrices)
    torch.manual_seed(0)
    centre = torch.cat(
        [torch.randn(100), torch.tensor([0.0, 0.1, 0.2, 0.5, -0.5, 1.0, -1.0, 2.0, 1.5]).repeat(4)]
    ).double()
    lower, upper = centre - torch.rand_like(centre) * size, centre + torch.rand_like(centre) * size
    lower[::5], upper[1::5] = centre[::5], centre[1::5]
    share = torch.cat([torch.rand(60, 1), torch.tensor([[0.0], [1.0], [1e-12], [1e-6]])]).double()
    places = [centre, torch.nextafter(centre, upper), torch.nextafter(centre, lower)]
    points = torch.cat([lower + share * (upper - lower), torch.stack(places)]).clamp(lower, upper)
    boxes = Boxes(lower[:, None], upper[:, None])
    slack = rounding_slack(network, lower.amin(0, keepdim=True), upper.amax(0, keepdim=True))
    known = forward(network, boxes, slack).intervals
    relaxations = [relax(curve, *pair) for curve, pair in zip(network.curves, known, strict=True)]
    rows = torch.tensor([[[1.0], [-1.0]]], dtype=torch.float64).expand(len(centre), -1, -1)
    wanted = goal(network, len(network.sizes), rows, torch.zeros(len(centre), 2, dtype=torch.float64))
    found = backward(network, wanted, relaxations, boxes)[0].value - slack[-1]
    values = CURVES[name](points)
    assert (found[:, 0] <= values).all()
    assert (-found[:, 1] >= values).all()
