"""The smallest change that breaks an image, against what it is for a linear classifier."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adrgd import DataError, UsageError
from adrgd.attacks.smallest.minimum import Minimum, smallest_changes
from adrgd.solvers import PGD

DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}
NORMS = pytest.mark.parametrize("norm", list(DUAL))


@pytest.fixture
def line() -> nn.Module:
    """Two classes that a plane parts."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.3, -1.0, 0.5, 0.2, -0.4, 0.9], [0.0] * 6]))
        net[1].bias.copy_(torch.tensor([-1.95, -2.0]))
    return net.eval().requires_grad_(False)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(8, 1, 2, 3, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4


@NORMS
@pytest.mark.parametrize("solver", ["graduated", "pgd"])
def test_the_distance_to_a_plane(line: nn.Module, images: torch.Tensor, norm: str, solver: str) -> None:
    """Far from the box's sides it is the margin over the dual norm of the weights."""
    labels = line(images).argmax(1)
    found = smallest_changes(line, images, labels, Minimum(norm=norm, solver=solver, passes=600))
    weights = line[1].weight[0].double()
    margin = (images.double().flatten(1) @ weights + 0.05).abs()
    expected = margin / torch.linalg.vector_norm(weights, DUAL[norm])
    assert (line(found.adversarial).argmax(1) != labels).all()
    assert (found.distance >= expected * (1 - 1e-5)).all()
    torch.testing.assert_close(found.distance, expected, rtol=0.03, atol=1e-4)
    assert (found.failed <= found.distance).all()
    assert ((found.forward_passes + found.backward_passes) <= 620).all()


def test_the_fewest_numbers_that_cross_a_plane(line: nn.Module, images: torch.Tensor) -> None:
    """The largest gains first, each number to the end of its range."""
    line[1].bias[0] += 0.7
    labels, flat = line(images).argmax(1), images.flatten(1)
    found = smallest_changes(line, flat, labels, Minimum(norm="l0"))
    weights = line[1].weight[0]
    way = torch.where(labels == 0, -1.0, 1.0)[:, None] * weights
    gains = (way.clamp_min(0) * (1 - flat) + way.clamp_max(0) * -flat).sort(1, descending=True).values.cumsum(1)
    margin = (flat @ weights + line[1].bias[0] - line[1].bias[1]).abs()
    assert found.distance.tolist() == [float((row <= m).sum() + 1) for row, m in zip(gains, margin, strict=True)]
    assert ((found.forward_passes + found.backward_passes) <= 1000).all()


@NORMS
def test_what_is_broken_already_is_at_distance_zero(line: nn.Module, images: torch.Tensor, norm: str) -> None:
    labels = 1 - line(images).argmax(1)
    found = smallest_changes(line, images, labels, Minimum(norm=norm))
    assert not found.distance.any()
    assert torch.equal(found.adversarial, images)
    assert not found.backward_passes.any()


def test_what_cannot_be_broken_is_infinitely_far(images: torch.Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.01], [0.02]]).expand(2, 6))
        net[1].bias.copy_(torch.tensor([9.0, 0.0]))
    found = smallest_changes(net.eval(), images, torch.zeros(8), Minimum(solver=PGD()))
    assert not found.success.any()
    assert torch.equal(found.adversarial, images)
    assert found.robust_accuracy(1e9) == 1


def test_targets_are_reached(line: nn.Module, images: torch.Tensor) -> None:
    found = smallest_changes(line, images, line(images).argmax(1), Minimum(target="next", passes=300))
    assert found.success.all()


def test_rows_do_not_depend_on_the_batch(line: nn.Module, images: torch.Tensor) -> None:
    labels, minimum = line(images).argmax(1), Minimum(passes=300)
    whole = smallest_changes(line, images, labels, minimum)
    half = smallest_changes(line, images[4:], labels[4:], minimum, index=torch.arange(4, 8))
    torch.testing.assert_close(half.distance, whole.distance[4:], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"norm": "l7"}, "unknown norm"),
        ({"passes": 0}, "passes"),
        ({"loss": "no"}, "loss"),
    ],
)
def test_settings_that_make_no_sense(line: nn.Module, images: torch.Tensor, settings: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        smallest_changes(line, images, torch.zeros(8), Minimum(**settings))


def test_images_outside_the_range(line: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        smallest_changes(line, images * 255, torch.zeros(8), Minimum())
