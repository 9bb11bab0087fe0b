"""Where people read: the tables of every command on standard output, its progress on standard error."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from adrgd.cli import loudness

WIDE = 10_000
FIRST, EVERY = 10.0, 60.0  # seconds until the first line where there is no terminal, and between two


def printer() -> Console:
    """Standard output, as wide as the terminal; a file or a pipe is never too narrow, whatever COLUMNS says."""
    return Console(width=None if sys.stdout.isatty() else WIDE)


def progress_bar() -> Progress:
    """A bar with counts, speed and times; a line now and then where standard error is no terminal; --quiet: neither."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed()
    times = TimeElapsedColumn(), TimeRemainingColumn()
    shown = sys.stderr.isatty() and not loudness.quiet
    kind = Progress if shown or loudness.quiet else Lines
    return kind(*columns, *times, console=Console(stderr=True), transient=True, disable=not shown)


class Speed(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        return Text(_speed(task), style="progress.data.speed")


class Lines(Progress):
    """Says how far it is: after ten seconds, then every minute, whether or not anything was finished meanwhile."""

    def start(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _talk(self) -> None:
        wait = FIRST
        while not self._ended.wait(wait):
            for task in self.tasks:
                print(line(task), file=sys.stderr, flush=True)
            wait = EVERY


def line(task: Task) -> str:
    """One task in words: "34 broken: 128 of 500, 12.1/s, 0:00:11, 0:00:30 left"."""
    count = f"{task.completed:g}" + ("" if task.total is None else f" of {task.total:g}")
    left = [] if task.time_remaining is None else [f"{timedelta(seconds=int(task.time_remaining))} left"]
    parts = [count, _speed(task), str(timedelta(seconds=int(task.elapsed or 0))), *left]
    return f"{task.description}: {', '.join(part for part in parts if part)}"


def _speed(task: Task) -> str:
    return "" if task.speed is None else f"{task.speed:.3g}/s"
