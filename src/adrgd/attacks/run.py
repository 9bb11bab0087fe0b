"""Attack a whole data set, batch by batch, into a run folder."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from adrgd.attacks.batches import Batch, Workers, attackable, split
from adrgd.attacks.certify import certify_run, check_certifiable
from adrgd.attacks.ensemble.standard import Standard
from adrgd.attacks.evaluate import Attack, AttackResult, attack_batch
from adrgd.attacks.export import check_export, export
from adrgd.attacks.gating import gates_of
from adrgd.attacks.judges import shown_to
from adrgd.attacks.prepare import say_if_fixed
from adrgd.attacks.progress import Advance, BatchDone, OnBatch
from adrgd.attacks.report import write_report
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.smallest.minimum import Smallest
from adrgd.attacks.sources import as_images_of
from adrgd.attacks.task import TaskResult
from adrgd.attacks.threat import LEAVES, Threat
from adrgd.data import Images
from adrgd.defences.expected import Expected
from adrgd.described import describe
from adrgd.errors import UsageError, warn
from adrgd.models.checks import check_model, probe, squashed
from adrgd.models.outputs import Logits
from adrgd.names import STANDARD, Saved
from adrgd.solvers import Solver

Found = TypeVar("Found", AttackResult, Smallest, TaskResult)


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
    config = _config(model, images, attack, batch_size, device) if config is None else config
    model = Logits(model)
    given, images = len(images), attackable(images, attack.threat.target)
    single = model if attack.eot is None else Expected(model, 1, attack.seed)
    seen = looked_at(single, images, attack.solver, device, require_gates=require_gates)

    def one(images: Tensor, labels: Tensor, index: Tensor) -> AttackResult:
        return attack_batch(model, images, labels, attack, index=index, check=False)

    with RunFolder(out, config, resume=resume) as folder:
        waiting = left(folder, images, batch_size)
        work = in_turn(one, waiting, device) if workers is None else workers(model, attack, waiting)
        table = fill(folder, work, len(images), sum(map(len, waiting)), advance, on_batch)
        summary = summarise(table, config, out=folder.path, skipped=given - len(images)) | folder.remarks()
        summary |= seen | _unboxed(attack.threat, folder) | drawn(table, attack.eot, attack.eot_judge)
        if judges:
            summary["judges"] = _shown(judges, folder, images, table, batch_size, device)
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


def left(folder: RunFolder, images: Images, batch_size: int) -> list[Batch]:
    """The batches that are not finished."""
    return [batch for batch in split(images, batch_size) if not folder.done(batch.start)]


def fill(
    folder: RunFolder,
    work: Generator[tuple[Batch, Found]],
    count: int,
    waiting: int,
    advance: Advance | None,
    on_batch: OnBatch | None = None,
) -> dict[str, Any]:
    """Save each batch as it is finished, and join them; the columns of the whole.

    Args:
        count: images of the run.
        waiting: those among them that are not finished.
    """
    broken, attacked = 0, 0
    with closing(work) as results:
        for batch, result in results:
            folder.save(batch.start, result)
            attacked, broken = attacked + len(batch), broken + int(result.success.sum())
            done = count - waiting + attacked
            if advance is not None:
                advance(done, broken)
            if on_batch is not None:
                on_batch(BatchDone(
                    start=batch.start, done=done, images=count, broken=broken, attacked=attacked, result=result
                ))  # fmt: skip
    folder.merge()
    return folder.results()


def in_turn(
    work: Callable[[Tensor, Tensor, Tensor], Found], batches: Sequence[Batch], device: str
) -> Generator[tuple[Batch, Found]]:
    """What comes of each batch's images, labels and index, in this process."""
    for batch in batches:
        yield batch, work(batch.images.to(device), batch.labels.to(device), batch.index)


def summarise(table: dict[str, Any], config: dict[str, Any], *, out: Path, skipped: int = 0) -> dict[str, Any]:
    """The figures of a finished run in the folder `out`; `skipped` images already had the target class."""
    count = len(table["index"])
    success = table["success"]
    first = [int(value) for value in table["first_success"] if value > 0]
    rate = float(success.mean())
    return {
        "images": count,
        "skipped": skipped,
        "clean_accuracy": float((table["clean_prediction"] == table["label"]).mean()),
        "success_rate": rate,
        "success_interval_95": list(wilson(int(success.sum()), count)),
        **_recorded(table),
        "robust_accuracy": float((table["adversarial_prediction"] == table["label"]).mean()),
        "mean_clean_loss": float(table["clean_loss"].mean()),
        "mean_loss": float(table["adversarial_loss"].mean()),
        "median_first_success": statistics.median(first) if first else None,
        "largest_distance": float(table["distance"].max()),
        "not_finite": int(table["not_finite"].sum()) if "not_finite" in table else 0,
        "no_gradient": int(table["no_gradient"].sum()) if "no_gradient" in table else 0,
        **({"certified_by_the_attack": int(table["certified"].sum())} if "certified" in table else {}),
        **spent(table, config, out),
    }


def spent(table: dict[str, Any], config: dict[str, Any], out: Path) -> dict[str, Any]:
    """How every run's summary ends: what it took, and what it was."""
    return {
        "forward_passes": int(table["forward_passes"].sum()),
        "backward_passes": int(table["backward_passes"].sum()),
        "seconds": round(float(table["seconds"].sum()), 3),
        "seed": config["seed"],
        "out": str(out),
        "config": config,
    }


def _recorded(table: dict[str, Any]) -> dict[str, Any]:
    """The share broken at the points that the solver's own rule records, where it has one."""
    if "recorded_success" not in table:
        return {}
    success = table["recorded_success"]
    return {
        "recorded_success_rate": float(success.mean()),
        "recorded_interval_95": list(wilson(int(success.sum()), len(success))),
    }


def _shown(
    judges: Mapping[str, nn.Module], folder: RunFolder, images: Images, table: dict[str, Any], size: int, device: str
) -> list[dict[str, Any]]:
    """Show a finished run's inputs to other models, and keep what each of them says of each image."""
    target = torch.from_numpy(table["target"].copy())
    found = shown_to(
        judges, images.images, folder.tensors()["adversarial"], images.labels, target, batch_size=size, device=device
    )
    rows = found.rows()
    for row in rows:
        row["success_interval_95"] = list(wilson(row["broken"], row["images"]))
    folder.write_judges(found, images.index)
    return rows


def drawn(table: dict[str, Any], eot: int | None, judge: int) -> dict[str, Any]:
    """What a summary says of a random model: the rule, and how sure single draws are of it.

    An image is told by its draws where the 95 % interval of the share that is wrong leaves out one half.
    """
    if eot is None:
        return {}
    wrong = [int(count) for count in table["wrong_draws"]]
    intervals = [wilson(count, judge) for count in wrong]
    return {
        "eot": {
            "draws": eot, "judge": judge,
            "rule": f"broken where the mean logits of {judge} fresh draws say so; {eot} other draws are attacked",
            "wrong_share": sum(wrong) / (judge * len(wrong)),
            "wrong_interval_95": list(wilson(sum(wrong), judge * len(wrong))),
            "mostly_wrong": sum(low > 0.5 for low, _ in intervals),
            "mostly_right": sum(high < 0.5 for _, high in intervals),
            "undecided": sum(low <= 0.5 <= high for low, high in intervals),
        }
    }  # fmt: skip


def _unboxed(threat: Threat, folder: RunFolder) -> dict[str, Any]:
    """What a summary says of a run without a box: that it had none, and from where to where its images go."""
    if threat.range is not None:
        return {}
    found = folder.tensors()["adversarial"]
    return {"box": None, "box_sentence": LEAVES, "values": [float(found.min()), float(found.max())]}


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % score interval (Wilson 1927) of a proportion."""
    z = 1.959964
    p = hits / count
    middle, scale = p + z * z / (2 * count), 1 + z * z / count
    half = z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
