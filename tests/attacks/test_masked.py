"""Models whose gradient is zero or missing: nothing is searched then, and that is said."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adrgd import AdrgdWarning, Attack, Threat, UsageError, attack_batch
from adrgd.attacks import Minimum, smallest_changes
from adrgd.defences import straight_through

from .problems import Problem

MISSING: dict[str, Callable[[Tensor], Tensor]] = {
    "a cast to integers": lambda x: (16 * x).int().float() / 16,
    "detach": lambda x: x.detach(),
    "numbers through NumPy": lambda x: torch.from_numpy(x.detach().numpy().copy()),
    "a comparison": lambda x: (x > 0.5).float(),
    "buckets": lambda x: torch.bucketize(x.detach(), torch.linspace(0, 1, 17)[1:]).float() / 16,
    "argmax": lambda x: torch.nn.functional.one_hot(x.flatten(2).argmax(2), 16).view(-1, 1, 4, 4).float(),
    "no_grad": torch.no_grad()(lambda x: 1.0 * x),
}
"""What stands between the input and the network, and leaves no graph."""

ZERO: dict[str, Callable[[Tensor], Tensor]] = {
    "round": lambda x: (16 * x).round() / 16,
    "floor": lambda x: (16 * x).floor() / 16,
    "sign": lambda x: (x - 0.5).sign(),
    "underflow": lambda x: 1e-30 * (1e-30 * x),
    "nothing": lambda x: 0 * x,
}
"""What leaves a graph with a gradient of zero."""

SEEN = ("round", "floor", "sign")
"""What gates stand for."""


def attacked(problem: Problem, before: Callable[[Tensor], Tensor], solver: str, minimum: bool) -> Tensor | None:
    """Which images have no gradient, where an attack says it; labels are the network's own answers."""

    def model(x: Tensor) -> Tensor:
        return problem.net(before(x))

    labels = model(problem.images).argmax(1)
    if minimum:
        smallest_changes(model, problem.images, labels, Minimum(norm="linf", solver=solver, passes=60, steps=10))
        return None
    steps = {} if solver == "standard" else {"steps": 5}
    found = attack_batch(model, problem.images, labels, Attack(threat=Threat(eps=0.01), solver=solver, **steps))  # type: ignore[arg-type]
    return found.no_gradient


@pytest.mark.parametrize("minimum", [False, True], ids=["attack", "minimum"])
@pytest.mark.parametrize("solver", ["pgd", "graduated", "standard"])
@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.filterwarnings("ignore:no activation is gated")
def test_a_missing_gradient_is_an_error_in_words(problem: Problem, kind: str, solver: str, minimum: bool) -> None:
    if minimum and solver == "standard":
        pytest.skip("minimum takes single runs")
    with pytest.raises(UsageError, match="does not depend on x through differentiable operations"):
        attacked(problem, MISSING[kind], solver, minimum)


@pytest.mark.parametrize("minimum", [False, True], ids=["attack", "minimum"])
@pytest.mark.parametrize("solver", ["pgd", "graduated", "standard"])
@pytest.mark.parametrize("kind", ZERO)
def test_a_gradient_of_zero_is_said(problem: Problem, kind: str, solver: str, minimum: bool) -> None:
    if minimum and solver == "standard":
        pytest.skip("minimum takes single runs")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = attacked(problem, ZERO[kind], solver, minimum)
    said = [str(one.message) for one in heard if issubclass(one.category, AdrgdWarning)]
    gated = solver != "pgd" and kind in SEEN
    assert any("gradient was zero" in words for words in said) != gated, said
    if found is not None:
        assert bool(found.all()) != gated


@pytest.mark.parametrize("kind", ["round", "floor", "a cast to integers", "detach"])
def test_a_slope_of_ones_own_brings_it_back(problem: Problem, kind: str) -> None:
    found = attacked(problem, straight_through((ZERO | MISSING)[kind]), "pgd", False)
    assert found is not None
    assert not found.any()
