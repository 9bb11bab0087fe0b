"""adrgd list"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from adrgd.attacks.standard import NAME, Standard
from adrgd.cli.options import cli
from adrgd.cli.progress import printer
from adrgd.models.architectures import ARCHITECTURES, Architecture
from adrgd.models.bundled import BUNDLED, bundled_models
from adrgd.objective import LOSSES
from adrgd.solvers import PRESETS, SOLVERS, STEPS


@dataclass(frozen=True, kw_only=True)
class Options:
    """Show what can be named on the command line."""

    json: bool = False
    """Print one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd list`."""
    options = cli(Options, argv, prog="adrgd list", description=Options.__doc__ or "")
    found: dict[str, dict[str, str]] = {
        "--solver of attack and evaluate": {NAME: _summary(Standard)},
        "--solver": {name: _summary(kind) for name, kind in SOLVERS.items()},
        "--solver adr:PRESET": dict.fromkeys(PRESETS, ""),
        "--step": {name: _summary(kind) for name, kind in STEPS.items()},
        "--loss": {name: _summary(pair[0]) for name, pair in LOSSES.items()},
        "--model NAME of train, and NAME?weights=FILE": {name: _shape(kind) for name, kind in ARCHITECTURES.items()},
        "--model": {f"bundled:{name}": BUNDLED[name].words for name in bundled_models()},
        "--data": {"bundled:mnist": "the first 500 test images of MNIST"},
    }
    if options.json:
        print(json.dumps({flag: list(names) for flag, names in found.items()}))
        return 0
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


def _shape(kind: Architecture) -> str:
    inputs = " x ".join(str(side) for side in kind.input_shape)
    return f"inputs {inputs}, {'an image' if kind.classes is None else f'{kind.classes} logits'}"


def _summary(thing: Any) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]
