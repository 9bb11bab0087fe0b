"""The smallest change of every image of a data set, batch by batch into a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from adrgd.attacks.batches import Workers, attackable
from adrgd.attacks.export import check_export, export
from adrgd.attacks.filling import filled, in_turn
from adrgd.attacks.progress import Advance, OnBatch
from adrgd.attacks.report import cards
from adrgd.attacks.run import looked_at
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.smallest.minimum import LONGER, Minimum, Smallest, smallest_changes
from adrgd.attacks.sources import as_images_of
from adrgd.attacks.summary import drawn, spent, transferred, wilson
from adrgd.data import Images
from adrgd.defences.expected import Expected
from adrgd.models.outputs import Logits
from adrgd.names import Saved
from adrgd.page import chart, render

POINTS = 200  # of the curve
LONGER_RULE = f"; a change that the fresh ones deny is made longer, up to {LONGER[-1]:g} times, until they do not"


def run_minimum(
    model: nn.Module,
    images: Any,
    minimum: Minimum,
    out: Path,
    *,
    config: dict[str, Any],
    batch_size: int = 128,
    device: str = "cpu",
    resume: bool = False,
    advance: Advance | None = None,
    workers: Workers | None = None,
    require_gates: bool = False,
    judges: Mapping[str, nn.Module] | None = None,
    save: Sequence[Saved] = (),
    on_batch: OnBatch | None = None,
) -> dict[str, Any]:
    """Look for the smallest change of every image, save everything under `out`, and return the summary.

    Goes on where it was stopped, as `run_attack` does, takes what it takes and raises what it raises.
    """
    images = as_images_of(images)
    check_export(save, images, minimum.threat)
    minimum.threat.check(images.images)
    model = Logits(model)
    given, images = len(images), attackable(images, minimum.target)
    single = model if minimum.eot is None else Expected(model, 1, minimum.seed)
    seen = looked_at(single, images, minimum.solver, device, require_gates=require_gates)

    def one(images: Tensor, labels: Tensor, index: Tensor) -> Smallest:
        return smallest_changes(model, images, labels, minimum, index=index, check=False)

    work = in_turn(one, device) if workers is None else partial(workers, model, minimum)
    with RunFolder(out, config, resume=resume) as folder:
        table = filled(folder, images, work, batch_size=batch_size, advance=advance, on_batch=on_batch)
        summary = summarise(table, config, out=folder.path, skipped=given - len(images)) | folder.remarks() | seen
        summary |= drawn(table, minimum.eot, minimum.eot_judge, LONGER_RULE)
        summary |= transferred(judges or {}, folder, images, table, batch_size, device)
        summary |= export(
            save, folder, images, table, model, minimum.threat, eps=None, batch_size=batch_size, device=device
        )
        folder.write_summary(summary)
        _report(folder, images, table, summary)
    return summary


def summarise(table: dict[str, Any], config: dict[str, Any], *, out: Path, skipped: int = 0) -> dict[str, Any]:
    """The figures of a finished run in the folder `out`; `skipped` images already had the target class.

    Images that were broken to begin with have the distance 0 and count in the median, not in the mean. Where less than
    half of the images were broken there is no median.
    """
    distance, found = table["distance"], int(table["success"].sum())
    moved = distance[np.isfinite(distance) & (distance > 0)]
    eps, share = curve(distance, counted=config["norm"] == "l0")
    median = float(np.median(distance))
    return {
        "images": len(distance),
        "skipped": skipped,
        "broken_already": int((distance == 0).sum()),
        "found": found,
        "clean_accuracy": float((table["clean_prediction"] == table["label"]).mean()),
        "success_rate": found / len(distance),
        "success_interval_95": list(wilson(found, len(distance))),
        "median": median if np.isfinite(median) else None,
        "mean": float(moved.mean()) if len(moved) else None,
        "least": float(moved.min()) if len(moved) else None,
        "largest": float(moved.max()) if len(moved) else None,
        "curve": {"eps": eps, "robust_accuracy": share},
        **spent(table, config, out),
    }


def curve(distance: Any, *, counted: bool) -> tuple[list[float], list[float]]:
    """Radii from 0 on, whole numbers if they are counted, and the share of images that nothing broke within each."""
    found = distance[np.isfinite(distance)]
    most = float(found.max()) if len(found) else 1.0
    eps = np.arange(most + 2) if counted else np.linspace(0, 1.05 * most or 1.0, POINTS)
    return eps.tolist(), [float((distance > radius).mean()) for radius in eps]


def _report(folder: RunFolder, images: Images, table: dict[str, Any], summary: dict[str, Any]) -> None:
    """Write report.html from a finished run's own files."""
    norm, line = summary["config"]["norm"], summary["curve"]

    def note(row: int) -> str:
        if not table["success"][row]:
            return "nothing found"
        size = table["distance"][row]
        return f"{size:.4g} in {norm}" if size else "wrong already"

    page = render(
        "attacks/minimum.html.j2",
        summary=summary,
        config=json.dumps(summary["config"], indent=2),
        curve=chart(
            line["eps"], {"": line["robust_accuracy"]}, xlabel=f"eps, {norm}", ylabel="robust accuracy",
            limits=(0.0, 1.0), whole=norm == "l0",
        ),
        cards=cards(images, table, folder.tensors()["adversarial"], note),
    )  # fmt: skip
    folder.write_text("report.html", page)
