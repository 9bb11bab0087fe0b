"""adrgd evaluate"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from adrgd import __version__
from adrgd.cli.attack.subject import of_mask, passing
from adrgd.cli.flags import flags
from adrgd.cli.folders import Run
from adrgd.cli.options import class_or_rule, cli, positive, usable_device
from adrgd.errors import UsageError
from adrgd.names import BoxName, Norm, TaskName

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress
    from rich.table import Table

    from adrgd.attacks.matrix.entrants import Entrant
    from adrgd.attacks.matrix.tables import Table as Matrix

BRIEF = ("attack", "broken", "95 %", "robust accuracy", "forward", "backward", "seconds")
"""The columns that a terminal shows something of; the report has them all."""

WIDTH = 20  # of a bar for all images

DESCRIPTION = "Evaluate models under several attacks and radii on the same images; every result is judged by us."

RENAMED = {"--noise": "--noise-points"}


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to evaluate, and how."""

    models: tuple[str, ...]
    """Models as `adrgd attack --model` takes them."""
    data: str
    """bundled:mnist; FOLDER after mnist:, cifar10:, cifar100:, svhn:, imagenet:, folder: or hf-datasets:, FILE after
    npz: or pt:, either after parquet: or webdataset:"""
    eps: tuple[float, ...] = ()
    """The largest perturbations."""
    task: TaskName = "classification"
    """What the models answer with: classes, or binary for one logit; `adrgd attack --task` has the others."""
    norm: Norm = "linf"
    """How the size of a perturbation is measured; l0 counts the pixels that change."""
    box: BoxName = "data"
    """data: perturbed images stay in [0, 1]; none: the ball alone bounds them, and they may leave it."""
    mask: str | None = field(default=None, metadata={"metavar": "FILE"})
    """Only these pixels may change: a .npy array or a picture, zero where nothing may. Peers know no masks."""
    patch: int | None = field(default=None, metadata={"metavar": "SIDE"})
    """Only one square of so many pixels may change, its place free in each image; --eps is the whole range then, unless
    given. Peers know no patches."""
    solvers: tuple[str, ...] = ("graduated", "pgd")
    """Solvers of `adrgd list`; each may have ?steps=N&restarts=N&loss=NAME&step=RULE of its own."""
    peers: tuple[str, ...] = ()
    """Attacks of other libraries: torchattacks:NAME, foolbox:NAME, art:NAME, adv-lib:NAME, pyautoattack:VERSION, with
    ?key=value for their own arguments."""
    noise_points: int = 100
    """Random points an image that all attacks are compared with; 0 for none."""
    steps: int = 100
    """Iterations of each run of our solvers."""
    step: str | None = None
    """Another step rule for all of our solvers but standard, which has its own."""
    restarts: int = 1
    """Runs an image of our solvers."""
    targeted: str | None = None
    """The class that images are to be turned into: a class number, next, random or least-likely."""
    loss: str = "cross-entropy"
    """cross-entropy, margin, dlr or normalised-cross-entropy: what our solvers raise, and what all
    results are measured by."""
    eot: int | None = None
    """For random models: everybody attacks the mean over so many draws, each of which costs its passes."""
    eot_judge: int = 100
    """Fresh draws, over which the mean says which images are broken."""
    judge: tuple[str, ...] = ()
    """Other models that what every attack has found is shown to; they are not attacked."""
    certify: float | None = None
    """Seconds for each image that stands against all attacks at a radius, to prove that nothing in its ball breaks it
    (linf, l2 and l1)."""
    straight_through: tuple[str, ...] = ()
    """Calls of the models that pass the gradient straight through: of round, floor, ceil, trunc, sign."""
    require_gates: bool = False
    """Stop, instead of warning, where one of our gated solvers meets an activation that has no gate."""
    keep_going: bool = False
    """Go on raising the loss of images that are broken already."""
    limit: int | None = None
    """The first N images only."""
    offset: int = 0
    """Skip that many images."""
    batch_size: int = 128
    """Images that are worked on side by side; it changes what peers draw."""
    trust: bool = False
    """Load a .pt or .pt2 file even where that can run its maker's code."""
    ray: str | None = None
    """Work on Ray workers, where our own solvers do: local for all processors of this machine, or the address of a
    running cluster."""
    run: Annotated[Run, tyro.conf.arg(name="")] = field(default_factory=Run)


def command(argv: list[str]) -> int:
    """Run `adrgd evaluate`."""
    return evaluate(cli(Options, argv, prog="adrgd evaluate", description=DESCRIPTION, renamed=RENAMED))


def evaluate(options: Options) -> int:
    """Evaluate, into a folder."""
    from adrgd.attacks.matrix import run_matrix
    from adrgd.attacks.ray_workers import RayWorkers
    from adrgd.data import load_data
    from adrgd.models import load_model

    if options.task not in ("classification", "binary"):
        raise UsageError(
            f"adrgd evaluate compares attacks on classes; for one on {options.task} use "
            f"`adrgd attack --task {options.task}`"
        )
    eps = options.eps or ((1.0,) if options.patch is not None else ())
    if not eps:
        raise UsageError("expected --eps, one largest perturbation or several")
    run = options.run
    run.begin()
    positive(options.batch_size, "batch-size")
    device = usable_device(run.device)
    entrants = _entrants(options)
    images = load_data(options.data, limit=options.limit, offset=options.offset, task=options.task)
    specs, judging = options.models, tuple(dict.fromkeys(options.judge))
    shape = tuple(images.images.shape[1:])
    loaded = {
        spec: load_model(spec, device=device, trust=options.trust, images=shape)
        for spec in dict.fromkeys(specs + judging)
    }
    models = {spec: passing(loaded[spec], options.straight_through) for spec in specs}
    out = run.folder("evaluate")

    def workers(spec: str) -> RayWorkers:
        return RayWorkers(
            address=str(options.ray), threads=run.threads or 1, device=device, spec=spec, trust=options.trust
        )

    def work(bar: Progress) -> dict[str, Any]:
        each = len(entrants) + (options.certify is not None)
        task = bar.add_task("evaluating", total=len(images) * len(models) * len(eps) * each)
        return run_matrix(
            {spec: model.module for spec, model in models.items()}, images, entrants, out, eps=eps,
            norm=options.norm, target=class_or_rule(options.targeted), box=options.box, seed=run.seed, device=device,
            batch_size=options.batch_size, config=_config(options), resume=run.resume,
            require_gates=options.require_gates, workers=None if options.ray is None else workers,
            eot=options.eot, eot_judge=positive(options.eot_judge, "eot-judge"), certify=options.certify,
            mask=options.mask, patch=options.patch, judges={spec: loaded[spec].module for spec in judging},
            advance=lambda what, count: bar.update(task, advance=count, description=what),
        )  # fmt: skip

    return run.carry_out(work, out, show=_shown, results=f"results and report: {out}/report.html")


def _entrants(options: Options) -> list[Entrant]:
    from adrgd.attacks.evaluate import Attack
    from adrgd.attacks.matrix import Noise, Own, Peer

    attack = Attack(
        steps=positive(options.steps, "steps"), restarts=positive(options.restarts, "restarts"), loss=options.loss,
        seed=options.run.seed, stop_at_success=not options.keep_going,
    )  # fmt: skip
    entrants: list[Entrant] = [Own.named(name, attack, step=options.step) for name in options.solvers]
    if options.noise_points:
        points = positive(options.noise_points, "noise-points")
        entrants.append(Noise(points=points, loss=options.loss, seed=options.run.seed))
    return entrants + [Peer.named(name, loss=options.loss, seed=options.run.seed) for name in options.peers]


def _config(options: Options) -> dict[str, Any]:
    """What all cells share, besides what `run_matrix` is told; each cell adds its own."""
    return {
        "adrgd": __version__, "data": options.data, "limit": options.limit, "offset": options.offset,
        **({"straight_through": list(options.straight_through)} if options.straight_through else {}),
        **of_mask(options.mask),
    }  # fmt: skip


def _shown(summary: dict[str, Any]) -> list[RenderableType]:
    from adrgd.attacks.matrix.tables import seen, shown, tables, where

    found = zip(tables(summary), summary["unions"], strict=True)
    parts: list[RenderableType] = []
    for one, union in found:
        parts += [_table(one, _clean(summary, union)), *_known(summary, union)]
    parts += [summary["box_sentence"]] if "box_sentence" in summary else []
    others = shown(summary)
    parts += [_plain(others)] if others is not None else []
    signs = seen(summary)
    parts.append(f"indicators of attack failure: {len(signs)} of {len(summary['indicators'])} checks")
    parts += [f"  {name} ({place}): {words}" for name, place, words in signs]
    return parts + [f"no results: {where(failure)}: {failure['reason']}" for failure in summary["failures"]]


def _clean(summary: dict[str, Any], union: dict[str, Any]) -> float:
    """The clean accuracy of a table's model on all of the images."""
    place = (union["model"], union["eps"])
    return next(float(cell["clean_accuracy"]) for cell in summary["cells"] if (cell["model"], cell["eps"]) == place)


def _known(summary: dict[str, Any], union: dict[str, Any]) -> list[RenderableType]:
    """What is broken, undecided and certified, as one bar, where that was asked for."""
    from rich.text import Text

    from adrgd.attacks.matrix.tables import known, known_words

    found = known(summary, union)
    if found is None:
        return []
    bar = Text()
    for word, style in (("broken", "red"), ("undecided", "bright_black"), ("certified", "green")):
        bar.append("█" * round(2 * WIDTH * found[word] / found["images"]), style=style)
    return [bar, known_words(found) + "\n"]


def _table(one: Matrix, clean: float) -> Table:
    """A table that fits a terminal, with a bar of what stands; the clean images come first."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=one.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("attack", "broken", "95 %", "still right", "", "passes", "seconds"):
        left = name in ("attack", "")
        table.add_column(name, justify="left" if left else "right", overflow="fold" if name == "attack" else "ellipsis")
    table.add_row("none", f"{1 - clean:.4f}", "", f"{clean:.4f}", _bar(clean), "", "")
    for row in one.rows:
        attack, broken, interval, robust, forward, backward, seconds = (row[one.header.index(name)] for name in BRIEF)
        passes = f"{float(forward) + float(backward):.0f}" if forward else ""
        right = robust or f"{1 - float(broken):.4f}"
        table.add_row(attack, broken, interval, right, _bar(float(right)), passes, seconds)
    return table


def _plain(one: Matrix) -> Table:
    """A table of words and numbers as they are."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=one.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(one.header):
        table.add_column(name, justify="left" if place < 2 else "right", overflow="fold")
    for row in one.rows:
        table.add_row(*row)
    return table


def _bar(share: float) -> str:
    return "█" * round(share * WIDTH)
