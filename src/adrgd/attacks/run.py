"""Attack a whole data set, batch by batch, into a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.attacks.batches import Workers, attackable
from adrgd.attacks.certify import certify_run, check_certifiable
from adrgd.attacks.ensemble.standard import Standard
from adrgd.attacks.evaluate import Attack, AttackResult, attack_batch
from adrgd.attacks.export import check_export, export
from adrgd.attacks.filling import filled, in_turn
from adrgd.attacks.gating import gates_of
from adrgd.attacks.prepare import say_if_fixed
from adrgd.attacks.progress import Advance, OnBatch
from adrgd.attacks.report import write_report
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.sources import as_images_of
from adrgd.attacks.summary import drawn, summarise, transferred, unboxed
from adrgd.data import Images
from adrgd.defences.expected import Expected
from adrgd.described import describe
from adrgd.errors import UsageError, warn
from adrgd.models.checks import check_model, probe, squashed
from adrgd.models.outputs import Logits
from adrgd.names import STANDARD, Saved
from adrgd.solvers import Solver


def run_attack(
    model: nn.Module,
    images: Any,
    attack: Attack,
    out: Path,
    *,
    config: dict[str, Any] | None = None,
    batch_size: int = 128,
    device: str = "cpu",
    resume: bool = False,
    advance: Advance | None = None,
    workers: Workers | None = None,
    require_gates: bool = False,
    certify: float | None = None,
    certified: Advance | None = None,
    judges: Mapping[str, nn.Module] | None = None,
    save: Sequence[Saved] = (),
    on_batch: OnBatch | None = None,
) -> dict[str, Any]:
    """Attack every image, save everything under `out`, and return the summary.

    A batch that was finished is never lost: interrupted at any moment, the same call with `resume=True` goes on with
    the first batch that is missing and ends with the same results.

    Args:
        images: `Images`, as `adrgd.load_data` returns them, or a `Dataset` or `DataLoader` of torch.
        config: all that decides the result, which stands in the folder; made from the others unless given.
        save: the images found as "png", "npz" or "parquet" as well; see `adrgd.attacks.export`.
        on_batch: told of each batch that is finished, e.g. to send its figures to a tracker.
        certify: seconds for each image that stands, to prove that it cannot be broken; None for no proofs.
        certified: told the number of images that were looked at so, and how many of them are certified.
        workers: what works on the batches, e.g. `adrgd.attacks.ray_workers.RayWorkers()`; this process unless given.
        judges: other models, by name, that what was found is shown to; into judges.parquet and the summary.
        require_gates: stop if the solver is a gated one and an activation of the model has no gate.

    Raises:
        ModelError: the model is in train mode, random, mixes the rows of a batch, or lacks required gates.
        RunFolderError: `out` belongs to another run, or is damaged.
        DataError: nothing is left to attack.
    """
    if certify is not None:
        check_certifiable(attack.threat, certify)
        if attack.eot is not None:
            raise UsageError("a proof is about a fixed function, and eot about a random one; leave out one of them")
    images = as_images_of(images)
    check_export(save, images, attack.threat)
    attack.threat.check(images.images)
    config = _config(model, images, attack, batch_size, device) if config is None else config
    model = Logits(model)
    given, images = len(images), attackable(images, attack.threat.target)
    single = model if attack.eot is None else Expected(model, 1, attack.seed)
    seen = looked_at(single, images, attack.solver, device, require_gates=require_gates)

    def one(images: Tensor, labels: Tensor, index: Tensor) -> AttackResult:
        return attack_batch(model, images, labels, attack, index=index, check=False)

    work = in_turn(one, device) if workers is None else partial(workers, model, attack)
    with RunFolder(out, config, resume=resume) as folder:
        table = filled(folder, images, work, batch_size=batch_size, advance=advance, on_batch=on_batch)
        summary = summarise(table, config, out=folder.path, skipped=given - len(images)) | folder.remarks()
        summary |= seen | unboxed(attack.threat, folder) | drawn(table, attack.eot, attack.eot_judge)
        summary |= transferred(judges or {}, folder, images, table, batch_size, device)
        if certify is not None:
            summary["certificates"] = certify_run(
                model, images, folder, attack.threat, seconds=certify, advance=certified
            )
        summary |= export(
            save, folder, images, table, model, attack.threat, eps=attack.threat.eps, batch_size=batch_size,
            device=device,
        )  # fmt: skip
        folder.write_summary(summary)
        write_report(folder, images, table, summary)
    return summary


def _config(model: nn.Module, images: Images, attack: Attack, batch_size: int, device: str) -> dict[str, Any]:
    """What decides the result, for a run that was begun from Python."""
    solver, spec = attack.solver, getattr(model, "spec", None)
    return {
        "model": spec if isinstance(spec, str) else type(model).__name__, "data": images.spec, "limit": len(images),
        "batch_size": batch_size, "device": device, "threat": asdict(attack.threat),
        "solver": describe(solver, STANDARD if isinstance(solver, Standard) else type(solver).__name__),
        "steps": attack.steps, "restarts": attack.restarts, "loss": attack.loss, "eot": attack.eot,
        "stop_at_success": attack.stop_at_success, "seed": attack.seed,
    }  # fmt: skip


def looked_at(
    model: nn.Module, images: Images, solver: Solver | Standard, device: str, *, require_gates: bool
) -> dict[str, Any]:
    """See that a model can be attacked; what its summary says of the gates, and of outputs that are probabilities."""
    few = probe(images.images).to(device)
    check_model(model, few)
    if isinstance(model, Expected):
        say_if_fixed(model, few)
    with torch.no_grad():
        remark = squashed(model(few))
    if remark:
        warn(remark)
    return gates_of(model, few, solver, require_gates=require_gates) | ({"outputs": remark} if remark else {})
