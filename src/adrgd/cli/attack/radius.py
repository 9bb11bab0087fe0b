"""`adrgd attack --eps`: what breaks within one radius."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adrgd.cli.attack.options import Options
from adrgd.cli.attack.subject import loaded, shared, subject, target, workers
from adrgd.cli.attack.table import judged, table
from adrgd.cli.options import Chosen, positive, usable_device
from adrgd.described import describe
from adrgd.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from adrgd.attacks.ensemble.standard import Standard
    from adrgd.attacks.evaluate import Attack
    from adrgd.solvers import Solver


def attack(options: Options, chosen: Chosen) -> int:
    """Attack, into a folder."""
    if options.eps is None and options.patch is None:
        raise UsageError("expected --eps, the largest perturbation, or --minimum for the smallest one of each image")
    from adrgd.attacks.evaluate import Attack
    from adrgd.attacks.run import run_attack
    from adrgd.attacks.threat import Threat, of_box

    run, solver = options.run, chosen.make()
    run.begin()
    positive(options.batch_size, "batch-size")
    device = usable_device(run.device)
    threat = Threat(
        norm=options.norm, eps=1.0 if options.eps is None else options.eps, target=target(options), mask=options.mask,
        patch=options.patch, **of_box({"box": options.box}),
    )  # fmt: skip
    attack = Attack(
        threat=threat, solver=solver, steps=positive(options.steps, "steps"),
        restarts=positive(options.restarts, "restarts"), loss=options.loss, seed=run.seed,
        stop_at_success=not options.keep_going, eot=options.eot, eot_judge=options.eot_judge,
    )  # fmt: skip
    model, images = subject(options, device)
    judges = {spec: loaded(options, spec, images, device).module for spec in dict.fromkeys(options.judge)}
    out = run.folder(options.model.partition("?")[0], options.solver)

    def work(bar: Progress) -> dict[str, Any]:
        task = bar.add_task("attacking", total=len(images))
        return run_attack(
            model.module, images, attack, out, config=_config(options, attack, solver, device),
            batch_size=options.batch_size, device=device, resume=run.resume, workers=workers(options, device),
            require_gates=options.require_gates, save=options.save,
            advance=lambda done, broken: bar.update(task, completed=done, description=f"{broken} broken"),
            certify=options.certify, judges=judges,
            certified=lambda done, proven: bar.update(task, completed=done, description=f"{proven} certified"),
        )  # fmt: skip

    words = f"results and report: {out}/report.html"
    return run.carry_out(work, out, show=lambda summary: [table(summary), *judged(summary)], results=words)


def _config(options: Options, attack: Attack, solver: Solver | Standard, device: str) -> dict[str, Any]:
    """Everything that decides the result; a run can only go on under the same."""
    return shared(options, device) | {
        "threat": attack.threat.settings(), "solver": describe(solver, options.solver),
        "steps": attack.steps, "restarts": attack.restarts, "loss": attack.loss,
        "stop_at_success": attack.stop_at_success, "seed": attack.seed,
        **({} if options.certify is None else {"certify": options.certify}),
        **({} if options.eot is None else {"eot": options.eot, "eot_judge": options.eot_judge}),
    }  # fmt: skip
