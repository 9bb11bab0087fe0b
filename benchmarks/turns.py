"""Processor time of several jobs on a machine that is never quite idle: they take turns, and medians are kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from rich.progress import track


def rounds(
    jobs: Mapping[str, Callable[[], object]], *, repeat: int, quiet: bool, what: str = "time"
) -> dict[str, list[float]]:
    """Processor seconds of each job in each of `repeat` rounds; in every other one the jobs run in reverse order."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in track(range(repeat), what, disable=quiet):
        for name, job in list(jobs.items())[:: -1 if turn % 2 else 1]:
            begin = time.process_time()
            job()
            found[name].append(time.process_time() - begin)
    return found


def seconds_each(
    jobs: Mapping[str, Callable[[], object]], *, repeat: int, quiet: bool, what: str = "time"
) -> dict[str, float]:
    """Median processor seconds of each job over `repeat` rounds, in each of which every job runs once."""
    found = rounds(jobs, repeat=repeat, quiet=quiet, what=what)
    return {name: statistics.median(values) for name, values in found.items()}
