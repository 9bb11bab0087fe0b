"""The larger of two, the largest of many, gated units and cells: their values stay, and their slopes are softened."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import normal
from torch import Tensor, nn

from adrgd.gates import Call, Gates, look

Form = Callable[[Tensor], Tensor]

LOW, HIGH = normal(6, seed=7) - 1, normal(6, seed=8) + 1

FORMS: dict[str, tuple[Form, int]] = {
    "maximum": (lambda h: torch.maximum(h, 0.5 * h.flip(1)), 1),
    "maximum by method": (lambda h: h.maximum(LOW), 1),
    "max of two": (lambda h: torch.max(h, LOW), 1),
    "fmax": (lambda h: torch.fmax(h, LOW), 1),
    "minimum": (lambda h: torch.minimum(h, HIGH), 1),
    "min of two": (lambda h: torch.min(h, other=HIGH), 1),
    "maximum, broadcast": (lambda h: torch.maximum(h.view(-1, 2, 3), h.view(-1, 6)[:, None, :3]).flatten(1), 1),
    "clamp between tensors": (lambda h: h.clamp(LOW, HIGH), 2),
    "clamp(min=tensor)": (lambda h: torch.clamp(h, min=LOW), 1),
    "amax": (lambda h: h.view(-1, 3, 2).amax(2), 1),
    "amax, kept": (lambda h: h.view(-1, 3, 2).amax((1, 2), keepdim=True).flatten(1), 1),
    "amin": (lambda h: h.view(-1, 3, 2).amin(dim=-1), 1),
    "max along": (lambda h: h.view(-1, 3, 2).max(2)[0], 1),
    "max along, named": (lambda h: torch.max(h.view(-1, 3, 2), dim=1, keepdim=True).values.flatten(1), 1),
    "min along": (lambda h: h.view(-1, 3, 2).min(-1).values, 1),
    "adaptive pool": (lambda h: F.adaptive_max_pool1d(h[:, None], 3).flatten(1), 1),
    "adaptive pool to one": (lambda h: F.adaptive_max_pool2d(h.view(-1, 1, 2, 3), (1, None)).flatten(1), 1),
    "pool with its choices": (lambda h: F.max_pool1d(h[:, None], 2, return_indices=True)[0].flatten(1), 1),
    "nn.MaxPool2d with its choices": (
        lambda h: nn.MaxPool2d(2, stride=1, return_indices=True)(h.view(-1, 1, 2, 3))[0].flatten(1),
        1,
    ),
    "glu": (F.glu, 1),
    "nn.GLU": (nn.GLU(dim=1), 1),
    "glu written out": (lambda h: h[:, :3] * h[:, 3:].sigmoid(), 1),
    "swiglu": (lambda h: h[:, :3] * F.silu(h[:, 3:]), 1),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> tuple[Form, int]:
    return FORMS[request.param]


def gradient(form: Form, h: Tensor, rule: Callable[[Call], object] | None) -> tuple[Tensor, Tensor]:
    h = h.clone().requires_grad_(True)
    inner = h * 1.0
    if rule is None:
        out = form(inner)
    else:
        with Gates(rule, every=True):
            out = form(inner)
    return out.detach(), torch.autograd.grad(out.square().sum(), h)[0]


def soft(deviation: float) -> Callable[[Call], object]:
    return lambda call: call.with_slope(call.phi.soft(call.h.detach(), torch.full_like(call.h, 1.702 / deviation), 1.0))


def test_it_is_seen_as_often_as_it_chooses(form: tuple[Form, int]) -> None:
    layers = look(lambda x: form[0](x * 1.0).sum(1), normal(4, 6)).layers
    assert len(layers) == form[1]


def test_sharp_slopes_are_the_true_ones_and_no_slope_changes_the_value(form: tuple[Form, int]) -> None:
    h = normal(50, 6)
    out, expected = gradient(form[0], h, None)
    sharp_out, sharp = gradient(form[0], h, soft(1e-9))
    assert torch.equal(gradient(form[0], h, soft(0.5))[0], out)
    assert torch.equal(sharp_out, out)
    torch.testing.assert_close(sharp, expected, rtol=1e-3, atol=1e-3)  # SiLU's mean slope is a fit


def test_the_answer_follows_from_phi(form: tuple[Form, int]) -> None:
    h = normal(9, 6)
    with Gates(lambda call: call.answer(call.phi.value(call.h)), every=True):
        out = form[0](h)
    torch.testing.assert_close(out, form[0](h))


@pytest.mark.parametrize("name", ["maximum", "amax", "min along"])
def test_soft_slopes_are_mean_slopes(name: str) -> None:
    """Under Gaussian noise on the pre-activations of one window of two, within the logistic form's error."""
    form, deviation = FORMS[name][0], 0.7
    h = normal(1, 6, seed=2)
    noise = deviation * torch.randn(40_000, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if name == "maximum":  # its pre-activation is a difference, whose deviation is asked for

        def rule(call: Call) -> object:
            size = (deviation**2 + (0.5 * deviation) ** 2) ** 0.5
            return soft(size)(call)
    else:
        rule = soft(deviation)
    h0 = h.clone().requires_grad_(True)
    with Gates(rule, every=True):
        out = form(h0 * 1.0).sum()
    (found,) = torch.autograd.grad(out, h0)
    many = (h + noise).requires_grad_(True)
    (expected,) = torch.autograd.grad(form(many * 1.0).sum() / len(many), many)
    torch.testing.assert_close(found[0], expected.sum(0), rtol=0, atol=0.03)


def test_masked_entries_do_not_move() -> None:
    h = torch.tensor([[1.0, -torch.inf, 0.9]], requires_grad=True)
    with Gates(lambda call: call.with_slope(call.phi.soft(call.h.detach(), torch.ones_like(call.h), 1.0)), every=True):
        out = h.amax(1).sum()
    (slope,) = torch.autograd.grad(out, h)
    assert slope[0, 1] == 0
    assert slope.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("cell", "layers"), [(nn.LSTMCell, 5), (nn.GRUCell, 3), (nn.RNNCell, 1)], ids=["lstm", "gru", "rnn"]
)
def test_cells_are_seen_activation_by_activation(cell: type[nn.RNNCellBase], layers: int) -> None:
    torch.manual_seed(0)
    unit = cell(6, 4, dtype=torch.float64).requires_grad_(False)

    def run(x: Tensor) -> Tensor:
        out = unit(x)
        return (out[0] if isinstance(out, tuple) else out).sum(1)

    x = normal(5, 6)
    assert len(look(run, x).layers) == layers
    with Gates(lambda call: call.original(), every=True):
        found = run(x)
    torch.testing.assert_close(found, run(x), rtol=1e-12, atol=1e-12)
