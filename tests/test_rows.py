"""Random numbers belong to rows, are random enough, and rows can be picked out of any nest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from adrgd.objective import Score
from adrgd.rows import RowRandom, column, norm, take

ROWS = torch.arange(200_000)
KINDS = ["uniform", "normal"]


def draw(
    kind: str, random: RowRandom, shape: tuple[int, ...], label: str = "a", t: int = 0, **dtype: torch.dtype
) -> Tensor:
    drawn: Tensor = getattr(random, kind)(shape, label, t, **dtype)
    return drawn


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("shape", [(), (1,), (7,), (8,), (3, 5), (1, 3, 3)])
def test_shapes(kind: str, shape: tuple[int, ...]) -> None:
    random = RowRandom.seeded(0, torch.arange(4))
    for dtype in (torch.float32, torch.float64):
        drawn = draw(kind, random, shape, dtype=dtype)
        assert drawn.shape == (4, *shape)
        assert drawn.dtype == dtype
        assert drawn.unique().numel() == drawn.numel()


def test_a_row_does_not_see_its_batch(kind: str) -> None:
    """Dropped, reordered, repeated and lone rows draw the same numbers; only a logarithm's last digit may differ."""
    everything, off = draw(kind, RowRandom.seeded(3, torch.arange(50)), (5,), t=2), 0 if kind == "uniform" else 1e-6
    for index in (torch.tensor([7]), torch.tensor([49, 3, 3, 0]), torch.arange(10, 20)):
        for random in (RowRandom.seeded(3, index), take(RowRandom.seeded(3, torch.arange(50)), index)):
            torch.testing.assert_close(draw(kind, random, (5,), t=2), everything[index], rtol=off, atol=off)


def test_the_same_request_gives_the_same_numbers(kind: str) -> None:
    random = RowRandom.seeded(0, torch.arange(5))
    assert torch.equal(draw(kind, random, (3,)), draw(kind, random, (3,)))


def test_known_numbers() -> None:
    """A published result can be drawn again: these numbers, of splitmix64 in plain integers, are not to change."""
    random = RowRandom.seeded(0, torch.arange(2))
    numbers = (random.uniform((3,), "start", dtype=torch.float64) * 2**24).to(torch.int64)
    assert numbers.tolist() == [[2802813, 5489435, 6483244], [794465, 11669353, 5677649]]


@pytest.mark.parametrize("change", ["label", "t", "seed", "row", "order of seed and row"])
def test_everything_else_gives_other_numbers(kind: str, change: str) -> None:
    base = draw(kind, RowRandom.seeded(1, torch.tensor([2])), (64,))
    seed, row, label, t = 1, 2, "a", 0
    if change == "label":
        label = "b"
    elif change == "t":
        t = 1
    elif change == "seed":
        seed = 2
    elif change == "row":
        row = 2**40 + 2
    else:
        seed, row = 2, 1
    other = draw(kind, RowRandom.seeded(seed, torch.tensor([row])), (64,), label, t)
    assert not torch.isin(other, base).any()


def test_streams_do_not_overlap() -> None:
    """Rows, iterations, seeds and labels next to each other share no number: 24 bits repeat by chance alone."""
    pieces = [
        RowRandom.seeded(seed, torch.arange(-8, 24)).uniform((16,), label, t, torch.float64)
        for seed in (-1, 0, 1, 2**31) for label in ("a", "b", "norms 0") for t in range(4)
    ]  # fmt: skip
    drawn = torch.cat(pieces).flatten()
    repeats = drawn.numel() - drawn.unique().numel()
    expected = drawn.numel() ** 2 / 2 / 2**24
    assert repeats < expected + 6 * math.sqrt(expected)


def cumulative(kind: str, x: Tensor) -> Tensor:
    return x if kind == "uniform" else (1 + torch.erf(x / math.sqrt(2))) / 2


def spread(kind: str, numbers: Tensor) -> float:
    """The Kolmogorov-Smirnov statistic times the root of the number of samples: above 1.95 once in 1000."""
    ordered = cumulative(kind, numbers.flatten().double()).sort().values
    count = len(ordered)
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    distance = torch.maximum((ordered - steps[:-1]).abs().max(), (ordered - steps[1:]).abs().max())
    return distance.item() * math.sqrt(count)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distribution_over_rows_and_within_one_row(kind: str, dtype: torch.dtype) -> None:
    over_rows = draw(kind, RowRandom.seeded(0, ROWS), (2,), dtype=dtype)
    within = draw(kind, RowRandom.seeded(0, torch.tensor([5])), (200_001,), dtype=dtype)
    for numbers in (over_rows[:, 0], over_rows[:, 1], within, within[:, ::2]):
        assert spread(kind, numbers) < 1.95


def test_distribution_over_iterations_and_seeds(kind: str) -> None:
    one = torch.tensor([0])
    iterations = [draw(kind, RowRandom.seeded(0, one), (1,), t=t) for t in range(2000)]
    seeds = [draw(kind, RowRandom.seeded(seed, one), (1,)) for seed in range(2000)]
    for numbers in (iterations, seeds):
        assert spread(kind, torch.cat(numbers)) < 1.95


def test_moments_and_correlations(kind: str) -> None:
    drawn = draw(kind, RowRandom.seeded(1, ROWS), (4,), dtype=torch.float64)
    mean, variance = (0.5, 1 / 12) if kind == "uniform" else (0.0, 1.0)
    kurtosis = 1.8 if kind == "uniform" else 3.0
    standard = (drawn - mean) / variance**0.5
    error = 5 / math.sqrt(len(ROWS))
    assert standard.mean(0).abs().max() < error
    assert (standard.square().mean(0) - 1).abs().max() < error * math.sqrt(kurtosis - 1)
    assert (standard**4).mean().item() == pytest.approx(kurtosis, rel=0.02)
    between = standard.T @ standard / len(ROWS) - torch.eye(4, dtype=torch.float64)
    assert (between - between.diag().diag()).abs().max() < error
    assert (standard[1:] * standard[:-1]).mean(0).abs().max() < error


def test_ranges() -> None:
    random = RowRandom.seeded(0, ROWS)
    uniform, normal = random.uniform((10,), "u"), random.normal((10,), "n")
    assert 0 <= uniform.min() < 1e-5
    assert 1 - 1e-5 < uniform.max() < 1
    assert normal.isfinite().all()
    assert 4.5 < normal.abs().max() < 7


@dataclass(frozen=True)
class State:
    best: Tensor
    alpha: float
    inner: Score
    scale: Tensor


def test_take_over_nests() -> None:
    x, flag = torch.arange(12).view(4, 3), torch.tensor([True, False, True, False])
    tree = {"list": [x, (flag, "name")], "state": State(x, 0.5, Score(x[:, 0], flag), torch.tensor(2.0)), "none": None}
    index = torch.tensor([2, 0])
    found = take(tree, index)
    assert found["none"] is None
    assert torch.equal(found["list"][0], x[index])
    assert isinstance(found["list"][1], tuple)
    assert found["list"][1][1] == "name"
    assert torch.equal(found["list"][1][0], flag[index])
    state = found["state"]
    assert isinstance(state, State)
    assert isinstance(state.inner, Score)
    assert (state.alpha, state.scale.item()) == (0.5, 2.0)
    assert torch.equal(state.best, x[index])
    assert torch.equal(state.inner.reached, flag[index])


def test_take_by_mask_and_of_nothing() -> None:
    x = torch.arange(6).view(3, 2)
    assert torch.equal(take([x], torch.tensor([True, False, True]))[0], x[[0, 2]])
    assert take(x, torch.tensor([], dtype=torch.int64)).shape == (0, 2)
    assert take(State, torch.tensor([0])) is State


def test_column_and_norm() -> None:
    x = torch.ones(2, 3, 4, 4)
    assert (column(torch.tensor([1.0, 2.0]), x) * x)[:, 0, 0, 0].tolist() == [1.0, 2.0]
    assert norm(x).tolist() == pytest.approx([48**0.5] * 2)
    assert column(torch.ones(2), torch.ones(2)).shape == (2,)
