"""What the commands that fill a folder share: their last flags, the bar, an interruption, and what they print."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adrgd.cli import loudness
from adrgd.cli.flags import flags
from adrgd.cli.options import positive
from adrgd.cli.signals import advised
from adrgd.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress
    from rich.table import Table


@flags
@dataclass(frozen=True, kw_only=True)
class Run:
    """Where the results go."""

    seed: int = 0
    """Of all randomness."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps, ..."""
    threads: int | None = None
    """Processor threads of torch, or of each worker."""
    out: Path | None = None
    """Folder for the results; one under runs/, named by the time, unless given."""
    resume: bool = False
    """Go on with what was stopped."""
    json: bool = False
    """Print the summary as one JSON object and nothing else."""

    def begin(self) -> None:
        """Set the threads, and check that there is something to go on with.

        Raises:
            UsageError: --threads below one, or --resume without --out.
        """
        if self.threads is not None:
            import torch

            torch.set_num_threads(positive(self.threads, "threads"))
        if self.resume and self.out is None:
            raise UsageError("--resume needs the run's folder: add --out FOLDER")

    def folder(self, *words: str) -> Path:
        """The folder asked for, or one named by the time and these words."""
        plain = ("".join(c if c.isalnum() else "-" for c in Path(word).name) for word in words)
        return self.out or Path("runs") / "-".join([time.strftime("%Y%m%d-%H%M%S"), *plain])

    def carry_out(
        self,
        work: Callable[[Progress], dict[str, Any]],
        out: Path,
        *,
        show: Callable[[dict[str, Any]], Sequence[RenderableType]],
        results: str,
    ) -> int:
        """Work under a bar, then print the summary, and say where the results are.

        Args:
            show: what people see of the summary; plain strings are never wrapped.
            results: the last line, printed before the folder's name.

        Returns:
            The exit code: 0, or 130 if it was interrupted.
        """
        from adrgd.cli.progress import printer, progress_bar

        advice = f"go on with the same command and --resume --out {out}"
        try:
            with advised(advice), progress_bar() as bar:
                summary = work(bar)
        except KeyboardInterrupt:
            print(f"interrupted; {advice}", file=sys.stderr)
            return 130
        if self.json:
            print(json.dumps(summary))
        if self.json or loudness.quiet:
            return 0
        console = printer()
        for part in [*show(summary), results]:
            if isinstance(part, str):
                console.print(part, soft_wrap=True, highlight=False, markup=False)
            else:
                console.print(part)
        return 0


def figures(title: str, rows: Mapping[str, str]) -> Table:
    """A table of two columns: figures and their values."""
    from rich.table import Table

    table = Table(title=title)
    table.add_column("figure", overflow="fold")
    table.add_column("value", justify="right", overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table
