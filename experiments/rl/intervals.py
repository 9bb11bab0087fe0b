"""Interquartile means with stratified bootstrap intervals (Agarwal et al. 2021, the method of rliable).

Runs are drawn again, with replacement, within each environment; the statistic is taken over all drawn scores together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DRAWS = 10_000


class Interval(NamedTuple):
    """A statistic, and the 2.5 and 97.5 % points of its bootstrap distribution."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = 0 if max(map(abs, self)) >= 100 else 1 if max(map(abs, self)) >= 10 else 2
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def iqm(scores: Array) -> Array:
    """The mean of the middle half along the last axis: of n scores, n // 4 are left out at each end."""
    count = scores.shape[-1]
    return np.asarray(np.sort(scores, axis=-1)[..., count // 4 : count - count // 4].mean(-1))


def interval(strata: Sequence[Array], *, seed: int = 0) -> Interval:
    """The IQM over the scores (runs,) of all strata."""
    drawn = iqm(_draws(strata, np.random.default_rng(seed)))
    return _interval(float(iqm(np.concatenate(strata))), drawn)


def difference(ours: Sequence[Array], theirs: Sequence[Array], *, seed: int = 0) -> Interval:
    """The IQM of one set of runs minus that of another; each is drawn on its own."""
    random = np.random.default_rng(seed)
    drawn = iqm(_draws(ours, random)) - iqm(_draws(theirs, random))
    return _interval(float(iqm(np.concatenate(ours)) - iqm(np.concatenate(theirs))), drawn)


def curve(runs: Array, *, seed: int = 0) -> tuple[Array, Array, Array]:
    """For runs (runs, times): the IQM at each time, and its bootstrap interval."""
    at = np.random.default_rng(seed).integers(len(runs), size=(2000, len(runs)))
    drawn = iqm(runs[at].swapaxes(1, 2))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return iqm(runs.T), low, high


def _draws(strata: Sequence[Array], random: np.random.Generator) -> Array:
    """(DRAWS, scores) of the runs drawn again within each stratum."""
    return np.concatenate([runs[random.integers(len(runs), size=(DRAWS, len(runs)))] for runs in strata], 1)


def _interval(value: float, drawn: Array) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))
