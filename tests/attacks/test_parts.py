"""Attacks of which only a part of each image may change: masks, patches, counterfactuals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from adrgd.attacks import Attack, Minimum, Threat, attack_batch, smallest_changes
from adrgd.errors import DataError, DomainError, UsageError

from .problems import Problem

MASK = torch.zeros(4, 4, dtype=torch.bool)
MASK[1:3, 1:4] = True


def run(problem: Problem, **threat: Any) -> torch.Tensor:
    attack = Attack(threat=Threat(**threat), steps=6)
    found = attack_batch(problem.net, problem.images[:9], problem.labels[:9], attack)
    return (found.adversarial - problem.images[:9]) != 0


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_only_masked_pixels_change(problem: Problem, norm: str) -> None:
    changed = run(problem, norm=norm, eps=3 if norm == "l0" else 0.9, mask=MASK)
    assert changed.any()
    assert not changed[:, :, ~MASK].any()


@pytest.mark.parametrize("kind", ["npy", "png"])
def test_masks_come_from_files(problem: Problem, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"mask.{kind}"
    if kind == "npy":
        np.save(file, MASK.numpy())
    else:
        Image.fromarray(MASK.numpy().astype(np.uint8) * 255).save(file)
    assert torch.equal(run(problem, eps=0.5, mask=str(file)), run(problem, eps=0.5, mask=MASK))


def test_a_patch_is_one_square(problem: Problem) -> None:
    changed = run(problem, eps=1.0, patch=2)[:, 0]
    for image in changed:
        at = image.nonzero()
        assert not len(at) or int((at.amax(0) - at.amin(0)).max()) < 2
    assert changed.any()


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_counterfactuals_of_a_linear_model(norm: str) -> None:
    """Target class, only the mask, and as close as can be: the optimum is known."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval().requires_grad_(False)
    images = torch.rand(6, 1, 4, 4) * 0.2 + 0.4
    net[1].weight *= 4
    net[1].bias -= net(images).mean(0)
    labels = net(images).argmax(1)
    minimum = Minimum(norm=norm, target=1, mask=MASK, passes=300)  # type: ignore[arg-type]
    found = smallest_changes(net, images, labels, minimum)
    slope = (net[1].weight[1] - net[1].weight[0]).view(4, 4)[MASK]
    gap = (net(images)[:, 0] - net(images)[:, 1]).clamp_min(0)
    best = gap / (slope.norm() if norm == "l2" else slope.abs().max())
    assert best.max() < 0.4, "the box must not matter"
    assert found.success.all()
    torch.testing.assert_close(found.distance.float(), best, rtol=0.02, atol=1e-4)
    assert not ((found.adversarial - images) != 0)[:, :, ~MASK].any()


@pytest.mark.parametrize(
    ("threat", "sentence"),
    [
        ({"mask": torch.zeros(4, 4)}, "the mask leaves nothing to change"),
        ({"mask": torch.ones(3, 3)}, "broadcasts to an image's"),
        ({"mask": "nowhere.npy"}, "expected an array of .npy"),
        ({"mask": "nowhere.png"}, "expected an image in"),
        ({"patch": 0}, "patch must be at least 1, found 0"),
        ({"patch": 5}, "from 1 to 4, found 5"),
        ({"patch": 2, "norm": "l2"}, "needs the norm linf"),
        ({"patch": 2, "lower": None, "upper": None}, "needs the norm linf and a box"),
        ({"target": True}, "expected a class number as the target, found True"),
    ],
)
def test_errors_are_sentences(problem: Problem, threat: dict[str, Any], sentence: str) -> None:
    with pytest.raises((DataError, DomainError, UsageError), match=sentence):
        run(problem, **threat)


def test_a_minimum_takes_no_truth_value_for_a_class() -> None:
    with pytest.raises(UsageError, match="expected a class number"):
        replace(Minimum(), target=False)
