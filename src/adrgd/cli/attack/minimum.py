"""`adrgd attack --minimum`: the smallest change of each image, and robust accuracy at every radius."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.progress import Progress
from rich.table import Table

from adrgd.cli.attack.options import Options
from adrgd.cli.attack.subject import loaded, refuse, shared, subject, target, workers, working
from adrgd.cli.attack.table import judged, random, rounded
from adrgd.cli.folders import figures
from adrgd.cli.options import Chosen, positive, usable_device
from adrgd.described import describe
from adrgd.errors import UsageError
from adrgd.names import STANDARD

if TYPE_CHECKING:
    from adrgd.attacks.smallest.minimum import Minimum

NOT_HERE = {
    "eps": "the radius is what is looked for", "restarts": "it starts again by itself",
    "keep_going": "it goes on by itself", "patch": "it measures the size of a change; a --mask holds a place",
    "certify": "a proof needs a radius", "steps": "runs are short, and as many as --passes pays for",
}  # fmt: skip
SHARES = 5  # of the curve, in the table


def minimum(options: Options, chosen: Chosen) -> int:
    """Look for the smallest changes, into a folder."""
    from adrgd.attacks.smallest.minimum import Minimum
    from adrgd.attacks.smallest.run import run_minimum

    _refuse(options)
    run, solver = options.run, chosen.make()
    run.begin()
    device = usable_device(run.device)
    asked = Minimum(
        norm=options.norm, passes=positive(options.passes, "passes"), solver=solver, target=target(options),
        mask=options.mask, loss=options.loss, seed=run.seed, eot=options.eot, eot_judge=options.eot_judge,
    )  # fmt: skip
    model, images = subject(options, device)
    judges = {spec: loaded(options, spec, images, device).module for spec in dict.fromkeys(options.judge)}
    out = run.folder(options.model.partition("?")[0], "minimum")
    config = _config(options, asked, describe(solver, options.solver), device, images.images.shape[1:])

    def work(bar: Progress) -> dict[str, Any]:
        task = bar.add_task("looking for the smallest changes", total=len(images))
        return run_minimum(
            model.module, images, asked, out, config=config, batch_size=positive(options.batch_size, "batch-size"),
            device=device, resume=run.resume, workers=workers(options, device), require_gates=options.require_gates,
            save=options.save, judges=judges,
            advance=lambda done, broken: bar.update(task, completed=done, description=f"{broken} broken"),
        )  # fmt: skip

    words = f"results and report: {out}/report.html"
    return run.carry_out(work, out, show=lambda summary: [_table(summary), *judged(summary)], results=words)


def _refuse(options: Options) -> None:
    """Flags that say nothing here.

    Raises:
        UsageError: one was given.
    """
    refuse(options, NOT_HERE, "--minimum")
    if options.box == "none":
        raise UsageError("--minimum looks inside the data's box; leave --box none out")
    if options.solver == STANDARD:
        raise UsageError("--minimum needs a solver that makes single runs, found standard; leave --solver out")


def _config(
    options: Options, asked: Minimum, solver: dict[str, Any], device: str, shape: tuple[int, ...]
) -> dict[str, Any]:
    """Everything that decides the result. The threat's eps is as far as the box reaches, which holds all points."""
    import torch

    from adrgd.domain import across

    whole = across(asked.norm, asked.upper - asked.lower, torch.Size(shape))
    return shared(options, device) | {
        "minimum": True, "norm": asked.norm, "passes": asked.passes, "steps": asked.steps, "loss": asked.loss,
        "threat": asked.threat.settings() | {"eps": whole}, "solver": solver, "seed": asked.seed,
        **({} if asked.eot is None else {"eot": asked.eot, "eot_judge": asked.eot_judge}),
    }  # fmt: skip


def _table(summary: dict[str, Any]) -> Table:
    config, line, gates = summary["config"], summary["curve"], summary.get("gates")
    eps, share = line["eps"], line["robust_accuracy"]
    shown = [round(k * (len(eps) - 1) / SHARES) for k in range(1, SHARES)]
    rows = (
        working(config["solver"])
        | ({"gates": gates["sentence"]} if gates else {})
        | {
            "images": f"{summary['images']}",
            "broken": f"{summary['found']}",
            "wrong already, distance 0": f"{summary['broken_already']}",
            "median": _number(summary["median"]),
            "mean of what was found": _number(summary["mean"]),
        }
        | {f"robust accuracy at {eps[k]:.4g}": f"{share[k]:.4f}" for k in dict.fromkeys(shown)}
        | random(summary)
        | rounded(summary)
        | {
            "forward / backward passes": f"{summary['forward_passes']} / {summary['backward_passes']}",
            "seconds": f"{summary['seconds']:.1f}",
            "seed": f"{summary['seed']}",
        }
    )
    return figures(f"smallest changes in {config['norm']}, {config['passes']} passes an image", rows)


def _number(value: float | None) -> str:
    return "none: less than half were broken" if value is None else f"{value:.4g}"
