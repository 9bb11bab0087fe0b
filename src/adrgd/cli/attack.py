"""adrgd attack"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from adrgd import __version__
from adrgd.cli.flags import flags
from adrgd.cli.folders import Run, figures
from adrgd.cli.options import Chosen, class_or_rule, describe, parse, positive, usable_device
from adrgd.errors import UsageError
from adrgd.names import BoxName, Norm

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

    from adrgd.attacks.evaluate import Attack
    from adrgd.attacks.standard import Standard
    from adrgd.data import Images
    from adrgd.models import Model
    from adrgd.solvers import Solver

DESCRIPTION = "Attack a classifier over a data set. Every image found is checked to lie inside its ball and its box."


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to attack, and how much."""

    model: str
    """bundled:NAME, mnist-cnn?weights=FILE, FILE.onnx, FILE.pt2, FILE.pt, timm:NAME, torchvision:NAME or
    package.module:factory?weights=FILE; each also takes ?mean=..&std=.."""
    data: str
    """bundled:mnist, mnist:FOLDER, cifar10:FOLDER, npz:FILE, folder:FOLDER"""
    norm: Norm = "linf"
    """How the size of a perturbation is measured; l0 counts the pixels that change."""
    eps: float | None = None
    """The largest perturbation."""
    minimum: bool = False
    """Look for the smallest change of each image instead, within --passes; there is no --eps then."""
    passes: int = 1000
    """Forward and backward passes an image, together, for --minimum."""
    box: BoxName = "data"
    """data: perturbed images stay in [0, 1]; none: the ball alone bounds them, and they may leave it."""
    solver: str = "graduated"
    """standard, the ensemble to judge a model by; a solver of `adrgd list`; adr:PRESET for one of ADR-GD's presets. Its
    own flags are below."""
    step: str | None = None
    """Another step rule for that solver."""
    steps: int = 100
    """Iterations of each run; standard has a --budget instead."""
    restarts: int = 1
    """Runs an image; the first starts at the clean image."""
    targeted: str | None = None
    """A class number, next, random or least-likely."""
    untargeted: bool = False
    """Any wrong class will do (the default)."""
    loss: str = "cross-entropy"
    """cross-entropy, margin, dlr or normalised-cross-entropy."""
    require_gates: bool = False
    """Stop, instead of warning, when the solver is a gated one and an activation of the model has no gate."""
    keep_going: bool = False
    """Go on raising the loss of images that are broken already."""
    certify: float | None = None
    """Seconds for each image that stands, to prove that nothing in its ball breaks it (linf only)."""
    limit: int | None = None
    """The first N images only."""
    offset: int = 0
    """Skip that many images."""
    batch_size: int = 128
    """Images that are worked on side by side."""
    trust: bool = False
    """Load a .pt or .pt2 file even where that can run its maker's code."""
    ray: str | None = None
    """Work on Ray workers: local for all processors of this machine, or the address of a running cluster."""
    run: Annotated[Run, tyro.conf.arg(name="")] = field(default_factory=Run)


def command(argv: list[str]) -> int:
    """Run `adrgd attack`."""
    options, chosen = parse(
        Options, argv, prog="adrgd attack", description=DESCRIPTION, ensemble=True, default="graduated"
    )
    return attack(options, chosen)


def attack(options: Options, chosen: Chosen) -> int:
    """Attack, into a folder."""
    if options.minimum:
        from adrgd.cli.attack_minimum import minimum

        return minimum(options, chosen)
    if options.eps is None:
        raise UsageError("expected --eps, the largest perturbation, or --minimum for the smallest one of each image")
    from adrgd.attacks.evaluate import Attack
    from adrgd.attacks.ray_workers import RayWorkers
    from adrgd.attacks.run import run_attack
    from adrgd.attacks.threat import Threat, of_box

    run, solver = options.run, chosen.make()
    run.begin()
    positive(options.batch_size, "batch-size")
    device = usable_device(run.device)
    threat = Threat(norm=options.norm, eps=options.eps, target=target(options), **of_box({"box": options.box}))
    attack = Attack(
        threat=threat, solver=solver, steps=positive(options.steps, "steps"),
        restarts=positive(options.restarts, "restarts"), loss=options.loss, seed=run.seed,
        stop_at_success=not options.keep_going,
    )  # fmt: skip
    model, images = subject(options, device)
    workers = None
    if options.ray is not None:
        workers = RayWorkers(
            address=options.ray, threads=run.threads or 1, device=device, spec=options.model, trust=options.trust
        )
    out = run.folder(options.model.partition("?")[0], options.solver)

    def work(bar: Progress) -> dict[str, Any]:
        task = bar.add_task("attacking", total=len(images))
        return run_attack(
            model.module, images, attack, out, config=_config(options, attack, solver, device),
            batch_size=options.batch_size, device=device, resume=run.resume, workers=workers,
            require_gates=options.require_gates,
            advance=lambda done, broken: bar.update(task, completed=done, description=f"{broken} broken"),
            certify=options.certify,
            certified=lambda done, proven: bar.update(task, completed=done, description=f"{proven} certified"),
        )  # fmt: skip

    words = f"results and report: {out}/report.html"
    return run.carry_out(work, out, show=lambda summary: [_table(summary)], results=words)


def subject(options: Options, device: str) -> tuple[Model, Images]:
    """The model and the images, which belong together.

    Raises:
        UsageError: they do not.
    """
    from adrgd.data import load_data
    from adrgd.models import load_model

    images = load_data(options.data, limit=options.limit, offset=options.offset)
    model = load_model(options.model, device=device, trust=options.trust)
    if model.input_shape is not None and tuple(model.input_shape) != tuple(images.images.shape[1:]):
        raise UsageError(
            f"{options.model} takes inputs of shape {tuple(model.input_shape)}, but {options.data} holds images of "
            f"shape {tuple(images.images.shape[1:])}; choose a model and data that belong together"
        )
    return model, images


def target(options: Options) -> Any:
    """What the images are to become, as a `Threat` takes it.

    Raises:
        UsageError: the flags exclude each other.
    """
    if options.targeted is None:
        return None
    if options.untargeted:
        raise UsageError("--targeted and --untargeted exclude each other; keep one of them")
    return class_or_rule(options.targeted)


def _config(options: Options, attack: Attack, solver: Solver | Standard, device: str) -> dict[str, Any]:
    """Everything that decides the result; a run can only go on under the same."""
    return shared(options, device) | {
        "threat": asdict(attack.threat), "solver": describe(solver, options.solver),
        "steps": attack.steps, "restarts": attack.restarts, "loss": attack.loss,
        "stop_at_success": attack.stop_at_success, "seed": attack.seed,
        **({} if options.certify is None else {"certify": options.certify}),
    }  # fmt: skip


def shared(options: Options, device: str) -> dict[str, Any]:
    """What decides the result of any attack."""
    return {
        "adrgd": __version__, "model": options.model, "data": options.data, "limit": options.limit,
        "offset": options.offset, "batch_size": options.batch_size, "device": device,
    }  # fmt: skip


def _table(summary: dict[str, Any]) -> Table:
    (low, high), config = summary["success_interval_95"], summary["config"]
    gates = summary.get("gates")
    rows = (
        working(config["solver"])
        | ({"gates": gates["sentence"]} if gates else {})
        | _unboxed(summary)
        | {
            "images": f"{summary['images']}",
            "success rate"
            + (
                ", best iterate" if "recorded_success_rate" in summary else ""
            ): f"{summary['success_rate']:.4f}  ({low:.3f} to {high:.3f})",
            **_recorded(summary),
            "clean accuracy": f"{summary['clean_accuracy']:.4f}",
            "robust accuracy": f"{summary['robust_accuracy']:.4f}",
            **_certified(summary),
            "mean loss, clean -> adversarial": f"{summary['mean_clean_loss']:.4f} -> {summary['mean_loss']:.4f}",
            **({"ended early, not finite": f"{summary['not_finite']}"} if summary["not_finite"] else {}),
            "forward / backward passes": f"{summary['forward_passes']} / {summary['backward_passes']}",
            "seconds": f"{summary['seconds']:.1f}",
            "seed": f"{summary['seed']}",
        }
    )
    return figures(f"{config['solver']['name']}, {config['threat']['norm']} {config['threat']['eps']:g}", rows)


def _unboxed(summary: dict[str, Any]) -> dict[str, str]:
    """The line that a run without a box has."""
    if "values" not in summary:
        return {}
    low, high = summary["values"]
    return {"box": f"{summary['box_sentence']}; they go from {low:.3g} to {high:.3g}"}


def _certified(summary: dict[str, Any]) -> dict[str, str]:
    """How many images are known to be safe, where that was asked for."""
    found = summary.get("certificates")
    if found is None:
        return {}
    low, high = found["robust_accuracy_at_least"], found["robust_accuracy_at_most"]
    why = "; ".join(["time", *found["reasons"]]) if found["undecided"] else ""
    return {
        "broken / certified / undecided": f"{found['broken']} / {found['certified']} / {found['undecided']}"
        + (f"  ({why})" if why else ""),
        "robust accuracy, certified": f"{low:.4f} to {high:.4f}",
    }


def _recorded(summary: dict[str, Any]) -> dict[str, str]:
    """What the solver's own rule keeps, beside the best iterate."""
    if "recorded_success_rate" not in summary:
        return {}
    low, high = summary["recorded_interval_95"]
    return {"success rate, recorded as released": f"{summary['recorded_success_rate']:.4f}  ({low:.3f} to {high:.3f})"}


def working(solver: dict[str, Any]) -> dict[str, str]:
    """What moved the inputs, as it took effect: an ensemble's budget, or the gates and the step with its length."""
    if "budget" in solver:
        return {"budget, passes an image": f"{solver['budget']}"}
    step = solver["step"]
    length = step.get("length", step.get("rate"))
    return {"gate rule, step": f"{solver['gates']['rule']}, {step['rule']} {length:g}, {step['schedule']}"}
