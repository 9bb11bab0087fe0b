"""However an activation is called, it is one layer, and the network around it computes what it always did."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from members import MEMBERS, Form
from torch import Tensor, nn

from adrgd.gates import Call, Gates

PLAIN = [(name, form) for name, member in MEMBERS.items() for form in member.forms]
IN_PLACE = [(name, form) for name, member in MEMBERS.items() for form in member.in_place]


def batch() -> Tensor:
    return 3 * torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def through(form: Form, h: Tensor) -> tuple[Tensor, list[Call]]:
    """The answer with every activation seen, and the calls."""
    calls: list[Call] = []

    def rule(call: Call) -> Tensor:
        calls.append(call)
        return call.original()

    with Gates(rule, every=True):
        return form(h), calls


@pytest.mark.parametrize(("name", "form"), PLAIN + IN_PLACE)
def test_each_is_one_layer_of_the_right_kind_and_value(name: str, form: Form) -> None:
    out, calls = through(form, batch())
    assert torch.equal(out, form(batch()))
    (call,) = calls
    assert call.phi.name == ("relu" if "clip_" in name else name.split(" ")[0])
    torch.testing.assert_close(call.phi.value(batch()), out, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "form"), IN_PLACE)
def test_forms_in_place_write_over_their_input(name: str, form: Form) -> None:
    h = batch()
    out, _ = through(form, h)
    assert out.data_ptr() == h.data_ptr()
    gated = batch()
    with Gates(lambda call: call.answer(call.phi.value(call.saved())), every=True):
        form(gated)
    torch.testing.assert_close(gated, out, rtol=1e-12, atol=1e-14)


def test_integers_outputs_elsewhere_and_training_are_left_alone() -> None:
    random = nn.RReLU().train()

    def net(h: Tensor) -> Tensor:
        torch.abs(torch.arange(3)), torch.sigmoid(torch.tensor([True])), torch.sin(torch.ones(2, dtype=torch.complex64))
        torch.erf(h, out=torch.empty_like(h)), torch.clamp(h, 2.0, -2.0)
        F.softplus(h, beta=-1.0), F.celu(h, -1.0), F.hardshrink(h, -1.0)
        return random(h)

    assert not through(net, batch())[1]


def test_no_activation_module_of_torch_is_forgotten() -> None:
    """The others are normalisations, and what has several inputs."""
    made = {nn.PReLU: nn.PReLU(dtype=torch.float64), nn.Threshold: nn.Threshold(0.5, 0.0)}
    others = {"Softmax", "Softmax2d", "Softmin", "LogSoftmax", "GLU", "MultiheadAttention"}
    for name in torch.nn.modules.activation.__all__:
        kind = getattr(nn, name)
        if name not in others:
            assert len(through(made.get(kind) or kind().eval(), batch())[1]) == 1, name
