"""adrgd inspect"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tyro

from adrgd.cli.flags import flags
from adrgd.cli.options import cli, usable_device
from adrgd.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

    from adrgd.models import Model
    from adrgd.models.inspection import Inspection

DESCRIPTION = (
    "Show a model as the solvers see it: its activations, which of them have gates, and what is wrong with it."
)
ROWS = 4


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to look at."""

    model: tyro.conf.Positional[str]
    """As `adrgd attack --model` takes it."""
    data: str | None = None
    """Images to look with, as `adrgd attack --data` takes them. Random numbers in [0, 1] unless given."""
    shape: tuple[int, ...] | None = None
    """The shape of one input, where neither the model nor --data tells: --shape 3 32 32."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps, ..."""
    trust: bool = False
    """Load a .pt or .pt2 file even where that can run its maker's code."""
    json: bool = False
    """Print one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd inspect`."""
    options: Options = cli(Options, argv, prog="adrgd inspect", description=DESCRIPTION)
    from adrgd.models import load_model
    from adrgd.models.inspection import inspect_model

    device = usable_device(options.device)
    images = _images(options)
    shape = None if images is None else tuple(images.shape[1:])
    model = load_model(options.model, device=device, trust=options.trust, images=shape)
    found = inspect_model(model.module, (_inputs(options, model) if images is None else images).to(device))
    if options.json:
        print(json.dumps({"model": options.model} | found.facts()))
        return 0
    from rich.console import Console

    console = Console()
    console.print(_layers(options.model, found))
    for line in _lines(found):
        console.print(line, markup=False, highlight=False)
    return 0


def _images(options: Options) -> Tensor | None:
    from adrgd.data import load_data

    if options.data is None:
        return None
    images = load_data(options.data, limit=ROWS).images
    return images if len(images) > 1 else images.repeat_interleave(2, 0)


def _inputs(options: Options, model: Model) -> Tensor:
    import torch

    from adrgd.rows import RowRandom

    shape = options.shape or model.input_shape
    if shape is None:
        raise UsageError(
            f"{options.model} does not say what shape its inputs have; give --data, or --shape as in --shape 3 32 32"
        )
    if min(shape, default=1) < 1:
        raise UsageError(f"--shape must be sizes of at least 1, found {' '.join(map(str, shape))}")
    return RowRandom.seeded(0, torch.arange(ROWS)).uniform(tuple(shape), "inspect")


def _layers(name: str, found: Inspection) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=name, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("call", "operation", "module", "shape", "neurons", "gate"):
        table.add_column(column, justify="right" if column in ("call", "neurons") else "left", overflow="fold")
    for row in found.facts()["layers"]:
        operation = row["operation"] if row["operation"] == row["kind"] else f"{row['operation']} ({row['kind']})"
        shape = " x ".join(map(str, row["shape"])) or "1"
        table.add_row(f"{row['call']}", operation, row["module"] or "-", shape, f"{row['neurons']}", row["gate"])
    return table


def _lines(found: Inspection) -> list[str]:
    facts: dict[str, Any] = found.facts()
    lines = [
        f"{len(facts['layers'])} activation calls with gates, {facts['neurons']} neurons; {found.parameters} "
        f"parameters ({found.dtype}); {_by(found.input_shape)} -> {_by(found.outputs)}"
    ]
    others = found.inventory.others
    lines += [f"{'' if other.own else 'no gate: '}{other.count} {other.kind}: {other.why}" for other in others]
    if found.training:
        shown = ", ".join(found.training[:3]) + (", ..." if len(found.training) > 3 else "")
        lines.append(f"in train mode: {shown}; its activations are not looked at")
    lines.append(f"problem: {found.problem}" if found.problem else "rows are independent, outputs finite, eval mode")
    return lines


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"
