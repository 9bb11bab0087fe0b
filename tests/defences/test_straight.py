"""Gradients for what has none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adrgd import AdrgdWarning, Attack, ModelError, Threat, UsageError, attack_batch, load_data, load_model
from adrgd.defences import Rounded, StraightThrough, straight_through
from adrgd.defences.straight import READY, jpeg


@pytest.mark.parametrize("name", READY)
def test_values_stay_to_the_bit_and_a_gradient_is_there(name: str) -> None:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - (0.3 if name == "sign" else 0)
    x.requires_grad_(True)
    out = straight_through(name)(x)
    assert torch.equal(out, READY[name][0](x.detach()))
    (gradient,) = torch.autograd.grad((out * torch.rand_like(out)).sum(), [x])
    assert gradient.abs().max() > 0


def test_a_stand_in_of_ones_own_gives_the_gradient() -> None:
    x = torch.tensor([0.3, 2.0], requires_grad=True)
    out = straight_through(lambda x: x.int().float(), backward=lambda x: x**2)(x)
    (gradient,) = torch.autograd.grad(out.sum(), [x])
    assert out.tolist() == [0.0, 2.0]
    assert gradient.tolist() == pytest.approx([0.6, 4.0])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: straight_through("rint"), UsageError, "unknown function 'rint'"),
        (lambda: StraightThrough(torch.relu, ("relu",)), UsageError, "found 'relu'"),
        (lambda: straight_through(lambda x: x.sum(1))(torch.zeros(2, 2)), ModelError, "pass backward="),
        (lambda: jpeg(torch.zeros(2, 5, 3, 3)), UsageError, "expected images"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_rounding_in_front_of_a_network_hides_nothing_then() -> None:
    """The radius is two steps of the levels, so that what pixels of 0 and 1 can become is not cut by rounding."""
    model, data = load_model("bundled:mnist-pgd").module, load_data("bundled:mnist", limit=16)
    attack = Attack(threat=Threat(eps=2 / 7 + 1e-3), solver="pgd", steps=15)

    def broken(network: Callable[[Tensor], Tensor]) -> int:
        return int(attack_batch(network, data.images, data.labels, attack).success.sum())

    plain = broken(model)
    with pytest.warns(AdrgdWarning, match="gradient was zero at every iteration"):
        hidden = broken(Rounded(model, 8))
    levels = straight_through(lambda x: (x * 7).round() / 7)
    shown = broken(StraightThrough(Rounded(model, 8))), broken(lambda x: model(levels(x)))
    assert plain > 8
    assert hidden == 0
    assert min(shown) >= plain - 1
