"""Indicators of attack failure: models and attacks that are known to fail trigger them, and sound ones do not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adrgd.attacks.matrix.gradients import usefulness
from adrgd.attacks.matrix.indicators import (
    Indicator,
    incomplete,
    masked_gradients,
    noise_as_strong,
    not_monotone,
    silent_success,
    zero_gradients,
)

from .problems import Problem


class Changed(nn.Module):
    """A network behind something that is done to its inputs or logits."""

    def __init__(self, net: nn.Module, before: Callable[[Tensor], Tensor], scale: float) -> None:
        super().__init__()
        self.net, self.before, self.scale = net, before, scale

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(self.before(x)) * self.scale
        return logits


def quantised(x: Tensor) -> Tensor:
    return (x * 8).round() / 8


def pretended(x: Tensor) -> Tensor:
    """A backward pass that points the wrong way."""
    return 2 * x.detach() - x


def gradients(problem: Problem, before: Callable[[Tensor], Tensor], scale: float, loss: str) -> dict[str, Indicator]:
    net = Changed(problem.net, before, scale).eval()
    changed = replace(problem, net=net, labels=net(problem.images).argmax(1))
    found = usefulness(changed.case(eps=0.03, loss=loss))
    zero, misleading, standing = (getattr(found, name).numpy() for name in ("zero", "misleading", "standing"))
    return {"zero": zero_gradients(zero, standing), "masked": masked_gradients(misleading, standing)}


@pytest.mark.parametrize(
    ("before", "scale", "loss", "seen"),
    [
        (torch.clone, 1.0, "cross-entropy", set()),
        (torch.clone, 1.0, "margin", set()),
        (torch.clone, 1e4, "cross-entropy", {"zero"}),
        (torch.clone, 1e4, "margin", set()),
        (quantised, 1.0, "cross-entropy", {"zero"}),
        (pretended, 1.0, "cross-entropy", {"masked"}),
    ],
)
def test_gradients_of_sound_and_unsound_models(
    problem: Problem, before: Callable[[Tensor], Tensor], scale: float, loss: str, seen: set[str]
) -> None:
    """Saturated logits stop the gradient of the cross-entropy, and not that of the margin."""
    found = gradients(problem, before, scale, loss)
    assert {name for name, sign in found.items() if sign.triggered} == seen


def test_a_model_that_cuts_the_graph(problem: Problem) -> None:
    assert gradients(problem, lambda x: x.detach(), 1.0, "cross-entropy")["zero"].triggered


def test_silent_success() -> None:
    assert silent_success(np.array([False, True])).triggered
    assert not silent_success(np.array([False, False])).triggered


@pytest.mark.parametrize(
    ("curve", "seen"),
    [
        (np.linspace(0, 1, 101) ** 2, True),
        (np.minimum(np.linspace(0, 2, 101), 1), False),
        (np.zeros(101), False),
        (np.full(101, np.nan), False),
    ],
)
def test_curves_that_rise_to_the_end(curve: np.ndarray, seen: bool) -> None:
    """Those of broken images do not matter."""
    rising = np.linspace(0, 1, 101) ** 3
    history, success = np.stack([curve, curve, rising]), np.array([False, False, True])
    assert incomplete(history, success).triggered is seen
    assert not incomplete(history, np.ones(3, dtype=bool)).triggered


def test_rates_that_fall_with_eps() -> None:
    small, large = np.arange(100) < 10, np.arange(100) < 30
    assert not not_monotone({0.1: small, 0.2: large}).triggered
    assert not_monotone({0.1: large, 0.2: small}).triggered
    # the rate rises, and yet ten images are lost
    assert not_monotone({0.2: np.arange(100) >= 10, 0.1: small}).triggered
    assert not not_monotone({0.1: small}).triggered


def test_noise() -> None:
    wrong = np.array([True, False, False, False])
    some, more = np.array([True, True, False, False]), np.array([True, True, True, False])
    assert noise_as_strong(more, some, wrong).triggered
    assert noise_as_strong(some, some, wrong).triggered
    assert not noise_as_strong(some, more, wrong).triggered
    assert not noise_as_strong(wrong, wrong, wrong).triggered, "neither breaks anything"


def test_every_sign_says_what_to_do() -> None:
    none = np.zeros(3, dtype=bool)
    for sign in (zero_gradients(none, ~none), silent_success(none), noise_as_strong(none, none, none)):
        assert sign.advice
        assert "0 " in sign.finding
