"""Images moved and mirrored while learning: where each pixel comes from, and that an update alone decides it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adrgd.errors import UsageError
from adrgd.rows import RowRandom
from adrgd.training import train
from adrgd.training.augment import AUGMENT, REACH, shift, shift_and_mirror

from .test_loop import SMALL, stop_at, weights

pytestmark = pytest.mark.filterwarnings("ignore:.*has no test images")


def some(count: int) -> tuple[torch.Tensor, RowRandom]:
    """Images whose pixels are all different and none of which is zero."""
    x = torch.arange(1.0, count * 3 * 12 * 10 + 1).view(count, 3, 12, 10)
    return x, RowRandom.seeded(0, torch.arange(count))


def test_a_shift_moves_every_pixel_alike() -> None:
    x, random = some(200)
    moves = set()
    for before, after in zip(x, shift(x, random), strict=True):
        seen = after[0].nonzero()
        row, column = seen[0].tolist()
        at = (before[0] == after[0, row, column]).nonzero()[0]
        down, right = int(at[0]) - row, int(at[1]) - column
        moves.add((down, right))
        inside = before[:, max(0, down) : 12 + min(0, down), max(0, right) : 10 + min(0, right)]
        assert torch.equal(after[:, max(0, -down) : 12 - max(0, down), max(0, -right) : 10 - max(0, right)], inside)
        assert int((after != 0).sum()) == inside.numel()
    assert {max(abs(down), abs(right)) for down, right in moves} == set(range(REACH + 1))


def test_half_of_the_images_are_mirrored() -> None:
    x, random = some(400)
    plain, both = shift(x, random), shift_and_mirror(x, random)
    same = (plain == both).flatten(1).all(1)
    assert 160 < int(same.sum()) < 240


@pytest.mark.parametrize("kind", AUGMENT)
def test_rows_do_not_depend_on_their_batch(kind: str) -> None:
    x, _ = some(6)
    whole = AUGMENT[kind](x, RowRandom.seeded(3, torch.arange(6)))
    alone = AUGMENT[kind](x[4:5], RowRandom.seeded(3, torch.tensor([4])))
    assert torch.equal(whole[4:5], alone)


def test_an_interruption_changes_no_bit(tmp_path: Path) -> None:
    training = replace(SMALL, attack="none", augment="shift-and-mirror")
    train(training, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(training, tmp_path / "cut", every=0.0, advance=stop_at(2))
    train(training, tmp_path / "cut", resume=True)
    first, second = (weights(tmp_path / name) for name in ("whole", "cut"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    train(replace(training, augment=None), tmp_path / "plain")
    still = weights(tmp_path / "plain")
    assert not all(torch.equal(first[name], still[name]) for name in first)


def test_unknown_augmentation() -> None:
    with pytest.raises(UsageError, match="unknown augmentation 'turn'"):
        replace(SMALL, augment="turn")
