"""Activations that a network writes out are recognised as a whole; what is not is left alone, and listed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import normal
from torch import Tensor

from adrgd.gates import Call, Gates, look

Form = Callable[[Tensor], Tensor]

WRITTEN: dict[str, tuple[Form, str]] = {
    "x sigmoid(x)": (lambda h: h * torch.sigmoid(h), "silu"),
    "sigmoid(x) x": (lambda h: h.sigmoid() * h, "silu"),
    "x sigmoid(2 x)": (lambda h: h * torch.sigmoid(2.0 * h), "silu"),
    "x sigmoid(1.702 x)": (lambda h: h * torch.sigmoid(1.702 * h), "silu"),
    "x / (1 + exp(-x))": (lambda h: h / (1 + torch.exp(-h)), "silu"),
    "gelu, by erf": (lambda h: 0.5 * h * (1 + torch.erf(h / math.sqrt(2.0))), "gelu"),
    "gelu, halves outside": (lambda h: h * (1.0 + torch.erf(h * 0.5**0.5)) * 0.5, "gelu"),
    "gelu, by tanh": (
        lambda h: 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * torch.pow(h, 3)))),
        "gelu",
    ),
    "mish": (lambda h: h * torch.tanh(F.softplus(h)), "mish"),
    "hardswish": (lambda h: h * F.relu6(h + 3) / 6, "hardswish"),
    "softplus": (lambda h: torch.log(1 + torch.exp(h)), "softplus"),
    "softplus, by log1p": (lambda h: torch.log1p(h.exp()), "softplus"),
    "sigmoid": (lambda h: 1 / (1 + torch.exp(-h)), "sigmoid"),
    "softsign": (lambda h: h / (1 + h.abs()), "softsign"),
    "x (x > 0)": (lambda h: h * (h > 0), "relu"),
    "x (x > 0).to": (lambda h: h * (h > 0).to(h.dtype), "relu"),
    "where, zero": (lambda h: torch.where(h > 0, h, 0.0), "relu"),
    "where, zeros": (lambda h: torch.where(h >= 0, h, torch.zeros_like(h)), "relu"),
    "where, method": (lambda h: h.where(h > 0, 0.1 * h), "leaky_relu"),
    "where, elu": (lambda h: torch.where(h > 0, h, torch.exp(h) - 1), "elu"),
    "where, expm1": (lambda h: torch.where(h < 0, 0.7 * torch.expm1(h), h), "elu"),
    "masked_fill": (lambda h: h.masked_fill(h < 0, 0.0), "relu"),
    "relu squared": (lambda h: F.relu(h) ** 2, "relu squared"),
    "relu squared, half of it": (lambda h: F.relu(h).square() / 2, "relu squared"),
    "relu times relu": (lambda h: F.relu(h) * F.relu(h), "relu squared"),
    "unknown": (lambda h: h * torch.sigmoid(h).square(), ""),
    "two kinds": (lambda h: torch.sigmoid(h) * torch.tanh(h), ""),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_one_layer_or_keeps_its_own_derivative(name: str) -> None:
    form, kind = WRITTEN[name]
    inventory = look(lambda x: form(x * 2.0).sum(1), normal(4, 6))
    if kind:
        (layer,) = inventory.layers
        assert layer.kind == f"{kind}, written out"
        assert [other for other in inventory.others if not other.own] == []
    else:
        assert inventory.layers == ()
        assert any("factor of an expression" in other.why for other in inventory.others)


@pytest.mark.parametrize("name", [name for name, (_, kind) in WRITTEN.items() if kind])
def test_values_stay_and_the_slope_is_that_of_the_whole(name: str) -> None:
    form = WRITTEN[name][0]
    h = 3 * normal(7, 6)
    picked = look(lambda x: form(x * 1.0).sum(1), h).pick("all")

    def under(rule: Callable[[Call], object]) -> tuple[Tensor, Tensor]:
        leaf = h.clone().requires_grad_(True)
        with Gates(rule, picked):
            out = form(leaf * 1.0)
        return out.detach(), torch.autograd.grad(out.sum(), leaf)[0]

    def soft(deviation: float) -> Callable[[Call], object]:
        return lambda call: call.with_slope(
            call.phi.soft(call.h.detach(), torch.full_like(call.h, 1.702 / deviation), 1.0)
        )

    out, expected = under(lambda call: call.original())
    assert torch.equal(under(soft(0.5))[0], out)
    torch.testing.assert_close(under(soft(1e-6))[1], expected, rtol=0, atol=0.01)
    for deviation in (0.5, 2.0):
        leaf = h.clone()[None] + deviation * torch.linspace(-6, 6, 2001, dtype=h.dtype).view(-1, 1, 1)
        leaf.requires_grad_(True)
        (slopes,) = torch.autograd.grad(form(leaf * 1.0).sum(), leaf)
        weight = torch.exp(-torch.linspace(-6, 6, 2001, dtype=h.dtype).square() / 2).view(-1, 1, 1)
        mean = (slopes * weight).sum(0) / weight.sum()
        torch.testing.assert_close(under(soft(deviation))[1], mean, rtol=0, atol=0.03)


def test_other_tensors_and_overwritten_ones_make_no_whole() -> None:
    def other(x: Tensor) -> Tensor:
        return (x * torch.sigmoid(x.flip(1))).sum(1)

    assert [layer.kind for layer in look(other, normal(4, 6)).layers] == ["sigmoid"]

    def overwritten(x: Tensor) -> Tensor:
        h = x * 2.0
        gate = torch.sigmoid(h)
        return (h.add_(1.0) * gate).sum(1)

    assert [layer.kind for layer in look(overwritten, normal(4, 6)).layers] == ["sigmoid"]
