"""The statistics of experiments/rl."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parents[2] / "experiments" / "rl"


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "intervals.py"))


@pytest.mark.parametrize("count", [1, 3, 4, 7, 20])
def test_interquartile_mean(module: dict[str, Any], count: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy's trimmed mean is the reference")
    scores = np.random.default_rng(count).normal(size=(5, count))
    np.testing.assert_allclose(module["iqm"](scores), stats.trim_mean(scores, 0.25, axis=1))


def test_an_interval_holds_its_value_and_nothing_else_where_all_runs_agree(module: dict[str, Any]) -> None:
    assert tuple(module["interval"]([np.full(3, 2.0), np.full(4, 2.0)])) == (2.0, 2.0, 2.0)
    value, low, high = module["interval"]([np.arange(10.0)])
    assert low < value < high


def test_runs_are_drawn_within_their_stratum(module: dict[str, Any]) -> None:
    """Two environments of very different scores: were they mixed, the interval would be as wide as their distance."""
    value, low, high = module["interval"]([np.array([0.0, 1.0, 2.0, 3.0]), np.array([100.0, 101.0, 102.0, 103.0])])
    assert 50 < low < value < high < 53


def test_coverage(module: dict[str, Any]) -> None:
    """Of 100 samples of 30 normal scores, most intervals hold the true middle."""
    random = np.random.default_rng(0)
    found = [module["interval"]([random.normal(size=30)], seed=k) for k in range(60)]
    assert 0.85 <= np.mean([low <= 0 <= high for _, low, high in found]) <= 1


def test_a_difference_is_seen_where_there_is_one(module: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=20), random.normal(size=20)
    assert module["difference"]([one + 5], [other]).excludes_zero
    assert not module["difference"]([one], [one]).excludes_zero


def test_a_curve_is_the_statistic_at_each_time(module: dict[str, Any]) -> None:
    runs = np.random.default_rng(0).normal(size=(5, 7))
    middle, low, high = module["curve"](runs)
    np.testing.assert_allclose(middle, [module["iqm"](runs[:, k]) for k in range(7)])
    assert (low <= middle).all()
    assert (middle <= high).all()
