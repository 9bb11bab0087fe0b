"""adrgd reconstruct"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from adrgd import __version__
from adrgd.cli.options import cli, positive
from adrgd.cli.progress import progress_bar
from adrgd.domain import Box, Domain, L2Ball
from adrgd.errors import UsageError
from adrgd.latent.invert import code_shape
from adrgd.latent.operators import parse_operator
from adrgd.latent.run import Setting, run_reconstruct
from adrgd.latent.targets import read_targets
from adrgd.models import load_model

DESCRIPTION = "Find the codes of a generator whose images agree with what was measured of the targets."


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to reconstruct, and how."""

    generator: str
    """A model that makes images in [0, 1] of codes: bundled:mnist-vae, or any form of --model of `adrgd attack`."""
    target: str
    """An image file, a folder of them, or data such as bundled:mnist."""
    operator: str = "identity"
    """What is measured: identity, mask:SHARE, block:SHARE, blur:SIGMA, down:FACTOR or gaussian:COUNT."""
    solvers: tuple[str, ...] = ("gd", "adam", "graduated")
    """Each does every target: graduated, adam, gd, adr, or another of `adrgd list`."""
    steps: int = 200
    """Iterations of each run."""
    restarts: int = 1
    """Runs a target, from codes of their own."""
    domain: str = "free"
    """Where codes may be: free, ball:RADIUS or box:HALFWIDTH."""
    prior: float = 0.0
    """Weight of the codes' squared length."""
    code: int | None = None
    """Length of a code, where the generator does not show it."""
    limit: int | None = None
    """The first N targets only."""
    batch_size: int = 64
    """Targets that are worked on side by side."""
    seed: int = 0
    """Of all randomness."""
    threads: int | None = None
    """Processor threads of torch."""
    out: Path | None = None
    """Folder for the results; runs/TIME-GENERATOR-OPERATOR unless given."""
    resume: bool = False
    """Go on with a run that was stopped."""
    json: bool = False
    """Print the summary as one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd reconstruct`."""
    options: Options = cli(Options, argv, prog="adrgd reconstruct", description=DESCRIPTION)
    if options.resume and options.out is None:
        raise UsageError("--resume needs the run's folder: add --out FOLDER")
    if options.threads is not None:
        torch.set_num_threads(positive(options.threads, "threads"))
    if options.limit is not None:
        positive(options.limit, "limit")
    generator = load_model(options.generator)
    shape = code_shape(generator) if options.code is None else (options.code,)
    setting = Setting(
        operator=parse_operator(options.operator), solvers=options.solvers, steps=positive(options.steps, "steps"),
        restarts=positive(options.restarts, "restarts"), prior=options.prior, domain=_domain(options.domain, shape),
        code=options.code, seed=options.seed, batch_size=positive(options.batch_size, "batch-size"),
    )  # fmt: skip
    if not options.solvers:
        raise UsageError("--solvers needs at least one name")
    targets = read_targets(options.target, _image_shape(generator, shape), limit=options.limit)
    words = [time.strftime("%Y%m%d-%H%M%S"), Path(options.generator.partition("?")[0]).name, options.operator]
    out = options.out or Path("runs") / "-".join("".join(c if c.isalnum() else "-" for c in word) for word in words)
    try:
        with progress_bar() as bar:
            task = bar.add_task("reconstructing", total=len(targets.images) * len(options.solvers))
            summary = run_reconstruct(
                generator, targets, setting, out, config=_config(options), resume=options.resume,
                advance=lambda count: bar.advance(task, count),
            )  # fmt: skip
    except KeyboardInterrupt:
        print(f"interrupted; go on with the same command and --resume --out {out}", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(summary))
    else:
        Console().print(_table(summary))
        Console().print(f"images and report: {out}/report.html", soft_wrap=True, highlight=False)
    return 0


def _image_shape(generator: Any, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """What the generator makes of a code in the middle."""
    try:
        with torch.no_grad():
            made = generator(torch.zeros(1, *shape))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise UsageError(
            f"the generator fails on a code of shape {shape} ({str(error).splitlines()[0]}); say its length by --code"
        ) from error
    if made.dim() != 4:
        raise UsageError(
            f"expected a generator that makes images (B, C, H, W), found {tuple(made.shape)} from "
            f"{generator.spec}; choose one"
        )
    return int(made.shape[1]), int(made.shape[2]), int(made.shape[3])


def _domain(text: str, shape: tuple[int, ...]) -> Domain | None:
    if text == "free":
        return None
    kind, _, number = text.partition(":")
    try:
        size = float(number)
    except ValueError:
        size = 0.0
    if kind not in ("ball", "box") or not size > 0:
        raise UsageError(f"expected --domain as free, ball:RADIUS or box:HALFWIDTH, found {text!r}")
    return Box(-size, size) if kind == "box" else L2Ball(torch.zeros(shape), size)


def _config(options: Options) -> dict[str, Any]:
    """Everything that decides the result; a run can only go on under the same."""
    plain = asdict(options)
    for name in ("threads", "out", "resume", "json"):
        del plain[name]
    return {"adrgd": __version__} | plain | {"solvers": list(options.solvers)}


def _table(summary: dict[str, Any]) -> Table:
    config = summary["config"]
    table = Table(title=f"{summary['targets']} targets, {config['operator']}, {config['steps']} iterations")
    for name in ("solver", "PSNR, dB", "SSIM", "error", "residual", "passes", "s a target"):
        table.add_column(name, justify="left" if name == "solver" else "right")
    for name, mean in summary["means"].items():
        table.add_row(
            name, f"{mean['psnr']:.2f}", f"{mean['ssim']:.3f}", f"{mean['error']:.3g}", f"{mean['residual']:.3g}",
            f"{mean['forwards']:.0f} / {mean['backwards']:.0f}", f"{mean['seconds']:.3f}",
        )  # fmt: skip
    return table
