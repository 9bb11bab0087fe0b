"""Where people read: the tables of every command on standard output, its progress on standard error."""

from __future__ import annotations

import importlib.util
import os
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
    """A bar with counts, speed and times, in notebooks a widget; a line now and then elsewhere; --quiet: neither."""
    columns = TextColumn("{task.description}"), BarColumn(), Count(), Speed()
    times = TimeElapsedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    shown = not loudness.quiet and _can_draw(console)
    kind = Progress if shown else Silent if loudness.quiet else Lines
    return kind(*columns, *times, console=console, transient=True, disable=not shown)


def _can_draw(console: Console) -> bool:
    """Whether a bar can be drawn again and again in one place."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return sys.stderr.isatty() and "JPY_PARENT_PID" not in os.environ  # `!adrgd` in a cell: a terminal that only adds


class Count(MofNCompleteColumn):
    """How many of how many, where that is known."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


class Speed(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        return Text(_speed(task), style="progress.data.speed")


class Silent(Progress):
    """Says nothing at all; rich's own ends with an empty line in its older versions."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


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
    count = "" if task.total is None else f"{task.completed:g} of {task.total:g}"
    left = [] if task.time_remaining is None else [f"{timedelta(seconds=int(task.time_remaining))} left"]
    parts = [count, _speed(task), str(timedelta(seconds=int(task.elapsed or 0))), *left]
    return f"{task.description}: {', '.join(part for part in parts if part)}"


def _speed(task: Task) -> str:
    return "" if task.speed is None else f"{task.speed:.3g}/s"
