"""Operators: known answers, linearity, and requests that make no sense."""

from __future__ import annotations

import pytest
import torch

from adrgd.errors import UsageError
from adrgd.latent import (
    Blur,
    CentreBlock,
    Downsample,
    GaussianMeasurements,
    Identity,
    RandomMask,
    parse_operator,
)
from adrgd.latent.operators import Operator

ALL = [Identity(), RandomMask(), CentreBlock(), Blur(1.5), Downsample(4), GaussianMeasurements(20)]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 2, 8, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("operator", ALL, ids=str)
def test_is_linear_and_keeps_rows_apart(operator: Operator, images: torch.Tensor) -> None:
    other = torch.rand_like(images)
    torch.testing.assert_close(operator(2 * images - other), 2 * operator(images) - operator(other))
    torch.testing.assert_close(operator(images[1:2]), operator(images)[1:2])


def test_mask_hides_its_share_of_pixels_in_all_channels() -> None:
    seen = RandomMask(0.3, seed=1)(torch.ones(2, 3, 50, 50))
    assert abs((seen == 0).float().mean().item() - 0.3) < 0.03
    assert torch.equal(seen, seen[:1, :1].expand_as(seen))
    assert not torch.equal(seen, RandomMask(0.3, seed=2)(torch.ones(2, 3, 50, 50)))


def test_block_hides_the_middle() -> None:
    seen = CentreBlock(0.5)(torch.ones(1, 1, 8, 8))
    assert seen.sum() == 64 - 16
    assert (seen[..., 2:6, 2:6] == 0).all()


def test_blur_keeps_constants_and_spreads_a_point(images: torch.Tensor) -> None:
    torch.testing.assert_close(Blur(1.0)(torch.full((1, 1, 9, 9), 0.4)), torch.full((1, 1, 9, 9), 0.4))
    point = torch.zeros(1, 1, 21, 21)
    point[..., 10, 10] = 1
    spread = Blur(1.0)(point)[0, 0]
    torch.testing.assert_close(spread.sum(), torch.tensor(1.0))
    assert spread[10, 10] == spread.max()
    torch.testing.assert_close(spread, spread.T)


def test_downsample_takes_means() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert Downsample(2)(image).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_gaussian_measurements_keep_lengths_on_average() -> None:
    images = torch.randn(20, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    ratio = GaussianMeasurements(200)(images).norm(dim=1) / images.flatten(1).norm(dim=1)
    assert abs(ratio.mean().item() - 1) < 0.1


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("identity", Identity()),
        ("mask", RandomMask()),
        ("mask:0.3", RandomMask(0.3)),
        ("block:0.25", CentreBlock(0.25)),
        ("blur:1.5", Blur(1.5)),
        ("down:2", Downsample(2)),
        ("gaussian:64", GaussianMeasurements(64)),
    ],
)
def test_by_name(text: str, operator: Operator) -> None:
    assert parse_operator(text) == operator


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("msk:0.5", "unknown operator 'msk:0.5'"),
        ("mask:a", "expected a number behind mask:"),
        ("mask:1", "must lie between 0 and 1"),
        ("block:0", "must lie between 0 and 1"),
        ("blur:-1", "must be positive"),
        ("down:1", "at least 2"),
        ("gaussian:0", "at least 1"),
    ],
)
def test_makes_no_sense(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_operator(text)


@pytest.mark.parametrize("operator", [Downsample(5), GaussianMeasurements(1000)])
def test_does_not_fit(operator: Operator, images: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="does not fit|do not fit"):
        operator(images)
