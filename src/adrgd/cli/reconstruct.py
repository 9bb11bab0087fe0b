"""adrgd reconstruct"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from adrgd import __version__
from adrgd.cli.flags import flags
from adrgd.cli.folders import Run
from adrgd.cli.options import cli, positive, usable_device
from adrgd.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

    from adrgd.domain import Domain

DESCRIPTION = "Find the codes of a generator whose images agree with what was measured of the targets."

RENAMED = {"--target": "--data"}


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to reconstruct, and how."""

    generator: str
    """A model that makes images in [0, 1] of codes: bundled:mnist-vae, or any form of --model of `adrgd attack`."""
    data: str
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
    code: tuple[int, ...] = ()
    """Length of a code, or its shape, where the generator does not show it."""
    span: tuple[float, float] = (0.0, 1.0)
    """What stands for black and white in the images that the generator makes; -1 1 behind a tanh."""
    limit: int | None = None
    """The first N targets only."""
    batch_size: int = 64
    """Targets that are worked on side by side."""
    trust: bool = False
    """Load a .pt or .pt2 file even where that can run its maker's code."""
    run: Annotated[Run, tyro.conf.arg(name="")] = field(default_factory=Run)


def command(argv: list[str]) -> int:
    """Run `adrgd reconstruct`."""
    return reconstruct(cli(Options, argv, prog="adrgd reconstruct", description=DESCRIPTION, renamed=RENAMED))


def reconstruct(options: Options) -> int:
    """Reconstruct, into a folder."""
    from adrgd.latent.generators import as_generator
    from adrgd.latent.invert import code_shape
    from adrgd.latent.operators import parse_operator
    from adrgd.latent.run import Setting, run_reconstruct
    from adrgd.latent.targets import read_targets, shown_shape
    from adrgd.models import load_model

    run = options.run
    run.begin()
    if options.limit is not None:
        positive(options.limit, "limit")
    device = usable_device(run.device)
    model = load_model(options.generator, device=device, trust=options.trust)
    shape = options.code or code_shape(model)
    generator, made = as_generator(model, shape, span=options.span, shape=partial(shown_shape, options.data))
    setting = Setting(
        operator=parse_operator(options.operator), solvers=options.solvers, steps=positive(options.steps, "steps"),
        restarts=positive(options.restarts, "restarts"), prior=options.prior,
        domain=_domain(options.domain, shape, device), code=shape, seed=run.seed,
        batch_size=positive(options.batch_size, "batch-size"),
    )  # fmt: skip
    if not options.solvers:
        raise UsageError("--solvers needs at least one name")
    targets = read_targets(options.data, made, limit=options.limit)
    out = run.folder(options.generator.partition("?")[0], options.operator)

    def work(bar: Progress) -> dict[str, Any]:
        task = bar.add_task("reconstructing", total=len(targets.images) * len(options.solvers))
        return run_reconstruct(
            generator, targets, setting, out, config=_config(options), resume=run.resume, device=device,
            advance=lambda count: bar.advance(task, count),
        )  # fmt: skip

    words = f"images and report: {out}/report.html"
    return run.carry_out(work, out, show=lambda summary: [_table(summary)], results=words)


def _domain(text: str, shape: tuple[int, ...], device: str) -> Domain | None:
    if text == "free":
        return None
    kind, _, number = text.partition(":")
    try:
        size = float(number)
    except ValueError:
        size = 0.0
    import torch

    from adrgd.domain import Box, L2Ball

    if kind not in ("ball", "box") or not size > 0:
        raise UsageError(f"expected --domain as free, ball:RADIUS or box:HALFWIDTH, found {text!r}")
    return Box(-size, size) if kind == "box" else L2Ball(torch.zeros(shape, device=device), size)


def _config(options: Options) -> dict[str, Any]:
    """Everything that decides the result; a run can only go on under the same."""
    plain = asdict(options)
    del plain["run"], plain["trust"]
    return {"adrgd": __version__, "seed": options.run.seed} | plain | {"solvers": list(options.solvers)}


def _table(summary: dict[str, Any]) -> Table:
    from rich.table import Table

    config = summary["config"]
    table = Table(title=f"{summary['targets']} targets, {config['operator']}, {config['steps']} iterations")
    for name in ("solver", "PSNR, dB", "SSIM", "error", "residual", "passes", "s a target"):
        table.add_column(name, justify="left" if name == "solver" else "right", overflow="fold")
    for name, mean in summary["means"].items():
        table.add_row(
            name, f"{mean['psnr']:.2f}", f"{mean['ssim']:.3f}", f"{mean['error']:.3g}", f"{mean['residual']:.3g}",
            f"{mean['forwards']:.0f} / {mean['backwards']:.0f}", f"{mean['seconds']:.3f}",
        )  # fmt: skip
    return table
