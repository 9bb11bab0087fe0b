"""`adrgd attack --task`: networks that do not answer with one class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adrgd.cli.attack.options import Options
from adrgd.cli.attack.subject import refuse, shared, subject, working
from adrgd.cli.attack.table import allowed
from adrgd.cli.folders import figures
from adrgd.cli.options import Chosen, positive, usable_device
from adrgd.described import describe
from adrgd.errors import UsageError
from adrgd.names import STANDARD

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

NOT_HERE = {
    "save": "pictures are judged by classes",
    "minimum": "it takes classes", "targeted": "there are no classes", "certify": "proofs are about classes",
    "ray": "it works in one process", "judge": "others are asked about classes", "ensemble": "it takes one model",
    "eot": "it takes fixed functions", "loss": "the task has its own",
}  # fmt: skip


def task(options: Options, chosen: Chosen) -> int:
    """Attack a network of another task, into a folder."""
    from adrgd.attacks.task import TaskAttack
    from adrgd.attacks.task_run import run_task
    from adrgd.attacks.threat import Threat, of_box

    _refuse(options)
    run, solver = options.run, chosen.make()
    run.begin()
    device = usable_device(run.device)
    threat = Threat(
        norm=options.norm, eps=1.0 if options.eps is None else options.eps, mask=options.mask, patch=options.patch,
        **of_box({"box": options.box}),
    )  # fmt: skip
    asked = TaskAttack(
        task=options.task, threat=threat, share=options.share, band=options.band, solver=solver,
        steps=positive(options.steps, "steps"), restarts=positive(options.restarts, "restarts"), seed=run.seed,
        stop_at_success=not options.keep_going,
    )  # fmt: skip
    model, images = subject(options, device)
    out = run.folder(options.model.partition("?")[0], options.task)
    config = shared(options, device) | {
        "task": options.task, "share": options.share, "band": options.band, "threat": threat.settings(),
        "solver": describe(solver, options.solver), "steps": asked.steps, "restarts": asked.restarts,
        "stop_at_success": asked.stop_at_success, "seed": asked.seed,
    }  # fmt: skip

    def work(bar: Progress) -> dict[str, Any]:
        line = bar.add_task("attacking", total=len(images))
        return run_task(
            model.module, images, asked, out, config=config, batch_size=positive(options.batch_size, "batch-size"),
            device=device, resume=run.resume, require_gates=options.require_gates,
            advance=lambda done, broken: bar.update(line, completed=done, description=f"{broken} broken"),
        )  # fmt: skip

    words = f"results and report: {out}/report.html"
    return run.carry_out(work, out, show=lambda summary: [_table(summary)], results=words)


def _refuse(options: Options) -> None:
    """Flags that say nothing here.

    Raises:
        UsageError: one was given, or one is missing.
    """
    refuse(options, NOT_HERE, f"--task {options.task}")
    if options.solver == STANDARD:
        raise UsageError(f"--task {options.task} needs a solver that makes single runs; leave --solver standard out")
    if options.eps is None and options.patch is None:
        raise UsageError("expected --eps, the largest perturbation")


def _table(summary: dict[str, Any]) -> Table:
    config, (low, high), gates = summary["config"], summary["success_interval_95"], summary.get("gates")
    rows = (
        working(config["solver"])
        | ({"gates": gates["sentence"]} if gates else {})
        | {
            "images": f"{summary['images']}",
            "success rate": f"{summary['success_rate']:.4f}  ({low:.3f} to {high:.3f})",
            "rule": summary["rule"],
        }
        | {
            name.replace("_", " "): "none" if value is None else f"{value:.4f}"
            for name, value in summary["figures"].items()
        }
        | {
            "forward / backward passes": f"{summary['forward_passes']} / {summary['backward_passes']}",
            "seconds": f"{summary['seconds']:.1f}",
            "seed": f"{summary['seed']}",
        }
    )
    return figures(f"{summary['task']}, {config['solver']['name']}, {allowed(config['threat'])}", rows)
