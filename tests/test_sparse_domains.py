"""Domains whose moves are sparse: known answers, brute force, errors. Laws that all domains share: test_domain_laws."""

from __future__ import annotations

from itertools import combinations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from adrgd.domain import Box, L0Ball, L1Ball, LinfBall, Masked, Simplex
from adrgd.errors import DomainError
from adrgd.rows import RowRandom

ZERO = torch.zeros(1, 4, dtype=torch.float64)
IMAGE = torch.full((2, 3, 2, 2), 0.5)


def test_l1_takes_the_same_from_every_change() -> None:
    ball = L1Ball(ZERO, 2.0).bind(ZERO)
    found = ball.project(torch.tensor([[3.0, -2.0, 0.5, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([[1.5, -0.5, 0.0, 0.0]], dtype=torch.float64))


def test_l1_in_a_box_spends_on_others_what_the_box_keeps_from_one() -> None:
    ball = L1Ball(ZERO, 2.0, Box(-1.0, 1.0)).bind(ZERO)
    found = ball.project(torch.tensor([[9.0, -2.0, 0.5, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([[1.0, -1.0, 0.0, 0.0]], dtype=torch.float64))


def test_l1_moves_whole_coordinates() -> None:
    ball = L1Ball(ZERO, 2.5, Box(-1.0, 1.0)).bind(ZERO)
    gradient = torch.tensor([[0.1, -3.0, 2.0, 1.0]], dtype=torch.float64)
    assert ball.steepest(gradient).tolist() == [[0.0, -1.0, 1.0, 0.5]]
    start = torch.tensor([[0.0, -1.0, 0.5, 0.0]], dtype=torch.float64)
    assert ball.steepest(gradient, start).tolist() == [[1.0, 0.0, 0.5, 1.0]], "what is at its end is left out"
    assert L1Ball(ZERO, 2.5).bind(ZERO).steepest(gradient).tolist() == [[0.0, -2.5, 0.0, 0.0]]


def test_samples_fill_the_l1_ball_evenly() -> None:
    """Uniform in n dimensions: the size to the n-th power is uniform."""
    centre = torch.zeros(4000, 3, dtype=torch.float64)
    found = L1Ball(centre, 2.0).bind(centre).sample(RowRandom.seeded(0, torch.arange(4000)))
    counts = torch.histc((found.abs().sum(1) / 2) ** 3, 10, 0, 1)
    assert ((counts - 400).square() / 400).sum() < 27.9  # chi squared, 9 degrees of freedom, once in 1000


@st.composite
def points(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    n = draw(st.integers(1, 5))
    numbers = st.lists(st.floats(-3, 3, width=32), min_size=n, max_size=n)
    centre = torch.tensor([draw(numbers)], dtype=torch.float64).clamp(-1, 2)
    return torch.tensor([draw(numbers)], dtype=torch.float64), centre, draw(st.integers(1, n))


@settings(max_examples=200)
@given(points())
def test_l0_against_all_choices_of_coordinates(given_points: tuple[Tensor, Tensor, int]) -> None:
    x, centre, k = given_points
    ball = L0Ball(centre, k, Box(-1.0, 2.0)).bind(x)
    found, step = ball.project(x), ball.steepest(x, centre)
    choices = []
    for chosen in combinations(range(x.shape[1]), k):
        kept = centre.clone()
        kept[:, chosen] = x.clamp(-1, 2)[:, chosen]
        choices.append(float((x - kept).norm()))
        best = torch.where(x > 0, 2 - centre, -1 - centre) * x
        assert float((x * step).sum()) >= float(best[:, chosen].sum()) - 1e-9
    assert float((x - found).norm()) == pytest.approx(min(choices), abs=1e-9)
    assert ball.contains(found).all()
    assert torch.equal(ball.project(found), found)
    assert ball.contains(ball.sample(RowRandom.seeded(0, torch.arange(1)))).all()
    assert ball.contains(ball.project(centre + step)).all()


def test_l0_of_pixels_changes_all_channels_of_few_places() -> None:
    ball = L0Ball(IMAGE, 1, Box(0.0, 1.0), pixels=True).bind(IMAGE)
    change = torch.zeros_like(IMAGE)
    change[0, :, 1, 0], change[0, 0, 0, 0] = 0.3, 0.4
    found = ball.project(IMAGE + change) - IMAGE
    assert found[0].nonzero().tolist() == [[channel, 1, 0] for channel in range(3)]
    assert ball.contains(IMAGE + change).tolist() == [False, True]


def test_l0_with_a_number_of_changes_for_each_row() -> None:
    x, centre = torch.arange(1.0, 5.0).expand(2, 4), torch.zeros(2, 4)
    found = L0Ball(centre, torch.tensor([1, 3]), Box(0.0, 9.0)).bind(x).project(x)
    assert found.tolist() == [[0, 0, 0, 4], [0, 2, 3, 4]]


def test_eps_of_each_channel() -> None:
    eps = torch.tensor([0.1, 0.0, 0.3]).view(1, 3, 1, 1)
    bound = LinfBall(IMAGE, eps, Box(0.0, 1.0)).bind(IMAGE)
    change = bound.project(IMAGE + 1) - IMAGE
    torch.testing.assert_close(change, eps.expand_as(IMAGE))
    torch.testing.assert_close(bound.steepest(-torch.ones_like(IMAGE)), -eps.expand_as(IMAGE))


@settings(max_examples=60)
@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=6), st.floats(0.1, 9))
def test_the_nearest_shares(numbers: list[float], total: float) -> None:
    x = torch.tensor([numbers], dtype=torch.float64)
    bound = Simplex(total).bind(x)
    found = bound.project(x)
    assert bound.contains(found).all()
    assert torch.equal(bound.project(found), found)
    for seed in range(8):
        other = bound.sample(RowRandom.seeded(seed, torch.arange(1)))
        assert bound.contains(other).all()
        assert float(((x - found) * (other - found)).sum()) <= 1e-6 * total
    step = bound.steepest(x)
    assert abs(float(step.sum())) <= 1e-6 * total
    assert float(step.norm()) <= total * (1 + 1e-9)


def test_a_mask_of_pixels_is_given_once_for_all_channels() -> None:
    mask = torch.tensor([[True, False], [False, False]])
    bound = Masked(L1Ball(IMAGE, 9.0, Box(0.0, 1.0)), mask, IMAGE).bind(IMAGE)
    assert (bound.project(IMAGE + 1) - IMAGE).nonzero()[:, 2:].unique(dim=0).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: L0Ball(ZERO, 0, Box(0.0, 1.0)).bind(ZERO), "from 1 to 4, found 0"),
        (lambda: L0Ball(ZERO, 5, Box(0.0, 1.0)).bind(ZERO), "from 1 to 4, found 5"),
        (lambda: L0Ball(IMAGE, 5, Box(0.0, 1.0), pixels=True).bind(IMAGE), "pixels from 1 to 4, found 5"),
        (lambda: L0Ball(ZERO, 1, Box(0.0, 1.0), pixels=True).bind(ZERO), "expected images"),
        (lambda: L1Ball(ZERO, 0.0).bind(ZERO), "must be positive"),
        (lambda: L1Ball(ZERO, torch.ones(3)).bind(ZERO), "one number, or one for each of 1 rows"),
        (lambda: LinfBall(IMAGE, torch.ones(1, 4, 1, 1)).bind(IMAGE), "eps has shape"),
        (lambda: LinfBall(IMAGE, -torch.ones(1, 3, 1, 1)).bind(IMAGE), "must be 0 or more"),
        (lambda: L1Ball(IMAGE, torch.ones(1, 3, 1, 1)).bind(IMAGE), "is what LinfBall takes"),
        (lambda: L1Ball(ZERO, True).bind(ZERO), "a number or a fraction .* as eps, found True"),
        (lambda: L0Ball(ZERO, "few", Box(0.0, 1.0)).bind(ZERO), "as k, found 'few'"),
        (lambda: Simplex(0.0).bind(ZERO), "must be a positive, finite number"),
        (lambda: Simplex("all").bind(ZERO), "must be a positive, finite number, found 'all'"),
        (lambda: Simplex().bind(ZERO[:, :1]), "needs two coordinates"),
        (lambda: Masked(Box(0.0, 1.0), torch.zeros(4), ZERO).bind(ZERO), "leaves nothing to change"),
        (lambda: Masked(Box(0.0, 1.0), torch.ones(3), ZERO).bind(ZERO), "broadcast"),
        (lambda: Masked(Box(0.0, 1.0), None, ZERO), "truth values or numbers, found NoneType"),
        (lambda: Masked(Box(0.0, 1.0), ["a"], ZERO), "truth values or numbers, found list"),
        (lambda: Masked(Box(0.0, 1.0), [float("nan"), 1.0, 1.0, 1.0], ZERO), "mask holds NaN"),
    ],
)  # fmt: skip
def test_errors_are_sentences(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DomainError, match=sentence):
        make()
