"""Where people read: the tables of every command on standard output, its progress bar on standard error."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

WIDE = 10_000


def printer() -> Console:
    """Standard output, as wide as the terminal; a file or a pipe is never too narrow, whatever COLUMNS says."""
    return Console(width=None if sys.stdout.isatty() else WIDE)


def progress_bar() -> Progress:
    """A bar with counts and times; silent when standard error is not a terminal, even where colours are forced."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    times = TimeElapsedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    return Progress(*columns, *times, console=console, transient=True, disable=not sys.stderr.isatty())
