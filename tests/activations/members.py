"""Every elementwise activation of torch: the ways to call it, and how far its mean slope may be from the true mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Form = Callable[[Tensor], Tensor]
aten, inner, special = torch.ops.aten, torch._C._nn, torch.special


@dataclass(frozen=True)
class Member:
    """One activation.

    Attributes:
        error: the largest distance of its mean slope from the true mean.
        forms: ways to call it that leave the input alone; the first is torch's own derivative.
        in_place: ways that write over the input.
        fit: the largest distance of its slope under vanishing noise from its own derivative.
        kinks: where it, or its slope, jumps.
        reach: the widest noise for which the mean is known to the test.
        jumps: its mean slope near a kink grows as 1 / s, and so does the error.
    """

    error: float
    forms: tuple[Form, ...]
    in_place: tuple[Form, ...] = ()
    fit: float = 1e-6
    kinks: tuple[float, ...] = ()
    reach: float = 1e3
    jumps: bool = False


def _step(h: Tensor) -> Tensor:
    return torch.heaviside(h, torch.zeros((), dtype=h.dtype))


INTEGERS = tuple(float(k) for k in range(-25, 26))
MEMBERS: dict[str, Member] = {
    "relu": Member(0.0095, (F.relu, nn.ReLU(), torch.relu, Tensor.relu, aten.relu.default, aten.relu),
                   (nn.ReLU(inplace=True), torch.relu_, Tensor.relu_, aten.relu_.default), kinks=(0,)),
    "relu6": Member(0.019, (F.relu6, nn.ReLU6(), inner.relu6, aten.relu6.default),
                    (nn.ReLU6(inplace=True), inner.relu6_, aten.relu6_.default), kinks=(0, 6)),
    "leaky_relu": Member(0.0095, (F.leaky_relu, nn.LeakyReLU(0.2), lambda h: F.leaky_relu(input=h, negative_slope=0.3)),
                         (nn.LeakyReLU(0.2, inplace=True), F.leaky_relu_), kinks=(0,)),
    "prelu": Member(0.0095, (nn.PReLU(dtype=torch.float64), lambda h: Tensor.prelu(h, torch.ones(1).to(h) / 4)),
                    kinks=(0,)),
    "rrelu": Member(0.0095, (nn.RReLU().eval(), F.rrelu, torch.rrelu, aten.rrelu.default),
                    (nn.RReLU(inplace=True).eval(), torch.rrelu_, aten.rrelu_.default), kinks=(0,)),
    "hardtanh": Member(0.019, (F.hardtanh, nn.Hardtanh(), inner.hardtanh, aten.hardtanh.default),
                       (nn.Hardtanh(inplace=True), F.hardtanh_, aten.hardtanh_.default), kinks=(-1, 1)),
    "clamp": Member(0.019, (lambda h: h.clamp(-1, 2), lambda h: torch.clip(h, min=-1, max=2)),
                    (lambda h: h.clamp_(-1, 2), lambda h: torch.clip_(h, max=2)), kinks=(-1, 2)),
    "threshold": Member(0.0095, (lambda h: F.threshold(h, 1, 1), lambda h: aten.threshold.default(h, 1, 1)),
                        (lambda h: F.threshold_(h, 1, 1), lambda h: aten.threshold_.default(h, 1, 1)), kinks=(1,)),
    "threshold that jumps": Member(
        1e-6, (lambda h: F.threshold(h, 1, -2), nn.Threshold(1, -2), lambda h: torch.threshold(h, 1.0, -2.0)),
        (nn.Threshold(1, -2, inplace=True), lambda h: torch.threshold_(h, 1.0, -2.0)), kinks=(1,), jumps=True),
    "abs": Member(0.019, (torch.abs, Tensor.abs, torch.absolute, Tensor.absolute, abs, aten.abs.default),
                  (torch.abs_, Tensor.abs_, Tensor.absolute_, aten.abs_.default), kinks=(0,)),
    "hardsigmoid": Member(0.0032, (F.hardsigmoid, nn.Hardsigmoid(), inner.hardsigmoid, aten.hardsigmoid.default),
                          (nn.Hardsigmoid(inplace=True), inner.hardsigmoid_, aten.hardsigmoid_.default), kinks=(-3, 3)),
    "softshrink": Member(0.019, (F.softshrink, nn.Softshrink(), inner.softshrink, aten.softshrink.default),
                         kinks=(-0.5, 0.5)),
    "hardshrink": Member(1e-6, (F.hardshrink, nn.Hardshrink(), torch.hardshrink, Tensor.hardshrink,
                                aten.hardshrink.default), kinks=(-0.5, 0.5), jumps=True),
    "hardswish": Member(1e-6, (F.hardswish, nn.Hardswish(), inner.hardswish, aten.hardswish.default),
                        (nn.Hardswish(inplace=True), inner.hardswish_, aten.hardswish_.default), kinks=(-3, 3)),
    "gelu": Member(1e-6, (F.gelu, nn.GELU(), inner.gelu, aten.gelu.default, aten.gelu), (aten.gelu_.default,)),
    "gelu by tanh": Member(0.0009, (nn.GELU("tanh"), lambda h: F.gelu(h, approximate="tanh")), fit=0.0009),
    "silu": Member(0.0072, (F.silu, nn.SiLU(), inner.silu, aten.silu.default),
                   (nn.SiLU(inplace=True), inner.silu_, aten.silu_.default)),
    "mish": Member(0.0007, (F.mish, nn.Mish(), inner.mish, aten.mish.default),
                   (nn.Mish(inplace=True), inner.mish_, aten.mish_.default), fit=0.0007),
    "softplus": Member(0.0038, (F.softplus, nn.Softplus(), inner.softplus, aten.softplus.default)),
    "softplus of a steeper kind": Member(0.0038, (nn.Softplus(beta=3), lambda h: F.softplus(h, beta=3, threshold=20))),
    "logsigmoid": Member(0.0038, (F.logsigmoid, nn.LogSigmoid(), inner.log_sigmoid, aten.log_sigmoid.default)),
    "elu": Member(0.0014, (F.elu, nn.ELU(), inner.elu, aten.elu.default),
                  (nn.ELU(inplace=True), F.elu_, inner.elu_, aten.elu_.default), kinks=(0,)),
    "elu of another height": Member(0.0007, (nn.ELU(0.5), lambda h: F.elu(h, alpha=0.5)), kinks=(0,)),
    "selu": Member(0.0025, (F.selu, nn.SELU(), torch.selu, aten.selu.default),
                   (nn.SELU(inplace=True), torch.selu_, aten.selu_.default), kinks=(0,)),
    "celu": Member(0.0014, (nn.CELU(0.5), lambda h: F.celu(h, 0.5), lambda h: torch.celu(h, 0.5)),
                   (nn.CELU(0.5, inplace=True), lambda h: torch.celu_(h, 0.5)), kinks=(0,)),
    "sigmoid": Member(0.011, (torch.sigmoid, nn.Sigmoid(), F.sigmoid, Tensor.sigmoid, special.expit),
                      (torch.sigmoid_, Tensor.sigmoid_, aten.sigmoid_.default)),
    "tanh": Member(0.043, (torch.tanh, nn.Tanh(), F.tanh, Tensor.tanh, aten.tanh.default),
                   (torch.tanh_, Tensor.tanh_, aten.tanh_.default)),
    "softsign": Member(0.007, (F.softsign, nn.Softsign()), fit=0.007, kinks=(0,)),
    "tanhshrink": Member(0.0022, (F.tanhshrink, nn.Tanhshrink()), fit=0.0022),
    "atan": Member(0.006, (torch.atan, Tensor.atan, torch.arctan, Tensor.arctan, aten.atan.default),
                   (torch.atan_, Tensor.arctan_), fit=0.006),
    "erf": Member(1e-6, (torch.erf, Tensor.erf, special.erf, aten.erf.default), (torch.erf_, Tensor.erf_)),
    "sin": Member(1e-6, (torch.sin, Tensor.sin, aten.sin.default), (torch.sin_, Tensor.sin_), reach=5.0),
    "cos": Member(1e-6, (torch.cos, Tensor.cos, aten.cos.default), (torch.cos_, Tensor.cos_), reach=5.0),
    "sign": Member(0.067, (torch.sign, Tensor.sign, torch.sgn, Tensor.sgn, aten.sign.default),
                   (Tensor.sign_, Tensor.sgn_, aten.sign_.default), kinks=(0,), jumps=True),
    "heaviside": Member(0.034, (_step, lambda h: Tensor.heaviside(h, h.new_zeros(()))), kinks=(0,), jumps=True),
    "floor": Member(0.024, (torch.floor, Tensor.floor, aten.floor.default), (torch.floor_,),
                    kinks=INTEGERS, reach=2.0, jumps=True),
    "ceil": Member(0.024, (torch.ceil, Tensor.ceil), (torch.ceil_,), kinks=INTEGERS, reach=2.0, jumps=True),
    "trunc": Member(0.024, (torch.trunc, Tensor.trunc, torch.fix), (torch.trunc_, Tensor.fix_),
                    kinks=tuple(k for k in INTEGERS if k), reach=2.0, jumps=True),
    "round": Member(0.024, (torch.round, Tensor.round, special.round), (torch.round_,),
                    kinks=tuple(k + 0.5 for k in INTEGERS), reach=2.0, jumps=True),
}  # fmt: skip
