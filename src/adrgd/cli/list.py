"""adrgd list"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from adrgd.cli.flags import flags
from adrgd.cli.known import find_solver, find_step, known
from adrgd.cli.options import cli


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """Show what can be named on the command line."""

    json: bool = False
    """Print one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd list`."""
    options = cli(Options, argv, prog="adrgd list", description=Options.__doc__ or "")
    told = known()
    found: dict[str, dict[str, str]] = {
        "--solver of attack and evaluate": _words(told["ensembles"]),
        "--solver": _words(told["solvers"]),
        "--solver adr:PRESET": told["settings"],
        "--step": {name: find_step(name).words for name in told["steps"]},
        "--loss": told["losses"],
        "--model NAME of train, and NAME?weights=FILE": told["architectures"],
        "--model": told["models"],
        "--data": told["data"],
    }
    if options.json:
        print(json.dumps({flag: list(names) for flag, names in found.items()}))
        return 0
    from rich.table import Table

    from adrgd.cli.progress import printer

    console = printer()
    for flag, names in found.items():
        table = Table(title=flag, title_justify="left", show_header=False, box=None, padding=(0, 2))
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for name, what in names.items():
            table.add_row(name, what)
        console.print(table)
        console.print()
    return 0


def _words(solvers: dict[str, Any]) -> dict[str, str]:
    return {name: find_solver(name, ensemble=True)["own"].words for name in solvers}
