"""An attack on a network of another task over a data set, into a run folder, with a summary in the task's own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adrgd.attacks.filling import filled, in_turn
from adrgd.attacks.gating import gates_of
from adrgd.attacks.progress import Advance, OnBatch
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.summary import spent, wilson
from adrgd.attacks.task import SHARE, Answer, TaskAttack, TaskResult, attack_task
from adrgd.data import Images
from adrgd.models.checks import check_model, probe
from adrgd.page import render

RULES = {
    "multilabel": "success: {share} wrong",
    "segmentation": "success: {share} of an image's pixels wrong",
    "regression": "success: the output {band:g} or more away from the label",
}


def run_task(
    model: nn.Module,
    images: Images,
    attack: TaskAttack,
    out: Path,
    *,
    config: dict[str, Any],
    batch_size: int = 128,
    device: str = "cpu",
    resume: bool = False,
    advance: Advance | None = None,
    require_gates: bool = False,
    on_batch: OnBatch | None = None,
) -> dict[str, Any]:
    """Attack every image, save everything under `out`, and return the summary.

    Goes on where it was stopped, as `run_attack` does, and raises what it and `attack_task` raise.
    """
    attack.threat.check(images.images)
    few = probe(images.images).to(device)
    answer = Answer(model, flat=True)
    check_model(answer, few)
    seen = gates_of(answer, few, attack.solver, require_gates=require_gates)

    def one(images: Tensor, labels: Tensor, index: Tensor) -> TaskResult:
        return attack_task(model, images, labels, attack, index=index)

    with RunFolder(out, config, resume=resume) as folder:
        work = in_turn(one, device)
        table = filled(folder, images, work, batch_size=batch_size, advance=advance, on_batch=on_batch)
        summary = summarise(table, folder.tensors(), images, attack) | spent(table, config, folder.path)
        summary |= folder.remarks() | seen
        folder.write_summary(summary)
        rows = [(name.replace("_", " "), _shown(value)) for name, value in summary["figures"].items()]
        page = render(
            "attacks/task.html.j2", summary=summary, rows=rows, config=json.dumps(summary["config"], indent=2)
        )
        folder.write_text("report.html", page)
    return summary


def rule(attack: TaskAttack) -> str:
    """What counts as success, in words."""
    if attack.task == "multilabel":
        share = "any label" if attack.share is None else f"{attack.share:g} of an image's labels"
    else:
        share = f"{attack.share or SHARE:g}"
    return RULES[attack.task].format(share=share, band=attack.band or 0.0)


def summarise(table: dict[str, Any], tensors: dict[str, Any], images: Images, attack: TaskAttack) -> dict[str, Any]:
    """The figures of a finished run."""
    success, before, after = (table[name] for name in ("success", "before", "after"))
    figures: dict[str, float | None]
    match attack.task:
        case "multilabel":
            figures = {
                "labels_wrong_before": float(before.mean()), "labels_wrong": float(after.mean()),
                "images_with_a_wrong_label_before": float((before > 0).mean()),
                "images_with_a_wrong_label": float((after > 0).mean()),
                "images_with_all_labels_wrong": float((after == 1).mean()),
            }  # fmt: skip
        case "segmentation":
            figures = {
                "pixels_wrong_before": float(before.mean()), "pixels_wrong": float(after.mean()),
                "mean_iou_before": _mean_iou(tensors["overlap"][:, 0]), "mean_iou": _mean_iou(tensors["overlap"][:, 1]),
            }  # fmt: skip
        case _:
            label, band = images.labels.double().numpy(), attack.band or 0.0
            shift = after - before
            figures = {
                "mean_output_before": float(before.mean()), "mean_output": float(after.mean()),
                "mean_shift": float(np.abs(shift).mean()), "median_shift": float(np.median(np.abs(shift))),
                "mean_error_before": float(np.abs(before - label).mean()),
                "mean_error": float(np.abs(after - label).mean()),
                "outside_the_band_before": float((np.abs(before - label) > band).mean()),
            }  # fmt: skip
    return {
        "task": attack.task, "rule": rule(attack), "images": len(success), "success_rate": float(success.mean()),
        "success_interval_95": list(wilson(int(success.sum()), len(success))),
        "largest_distance": float(table["distance"].max()), "figures": figures,
    }  # fmt: skip


def _mean_iou(overlap: Tensor) -> float | None:
    """The mean over classes that occur of (agreeing pixels) / (pixels of either), over all images together."""
    both, either = overlap.double().sum(0).unbind(1)
    seen = either > 0
    return float((both[seen] / either[seen]).mean()) if torch.any(seen) else None


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
