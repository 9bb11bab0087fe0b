"""The figures of a finished run, from its own table and tensors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adrgd.attacks.judges import shown_to
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.threat import LEAVES, Threat
from adrgd.data import Images


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


def transferred(
    judges: Mapping[str, nn.Module], folder: RunFolder, images: Images, table: dict[str, Any], size: int, device: str
) -> dict[str, Any]:
    """Show a finished run's inputs to other models, and keep what each of them says of each image."""
    if not judges:
        return {}
    target = torch.from_numpy(table["target"].copy())
    found = shown_to(
        judges, images.images, folder.tensors()["adversarial"], images.labels, target, batch_size=size, device=device
    )
    rows = found.rows()
    for row in rows:
        row["success_interval_95"] = list(wilson(row["broken"], row["images"]))
    folder.write_judges(found, images.index)
    return {"judges": rows}


def drawn(table: dict[str, Any], eot: int | None, judge: int, more: str = "") -> dict[str, Any]:
    """What a summary says of a random model: the rule, and how sure single draws are of it.

    An image is told by its draws where the 95 % interval of the share that is wrong leaves out one half.

    Args:
        more: what else belongs to the rule.
    """
    if eot is None:
        return {}
    wrong = [int(count) for count in table["wrong_draws"]]
    intervals = [wilson(count, judge) for count in wrong]
    return {
        "eot": {
            "draws": eot, "judge": judge,
            "rule": f"broken where the mean logits of {judge} fresh draws say so; {eot} other draws are attacked{more}",
            "wrong_share": sum(wrong) / (judge * len(wrong)),
            "wrong_interval_95": list(wilson(sum(wrong), judge * len(wrong))),
            "mostly_wrong": sum(low > 0.5 for low, _ in intervals),
            "mostly_right": sum(high < 0.5 for _, high in intervals),
            "undecided": sum(low <= 0.5 <= high for low, high in intervals),
        }
    }  # fmt: skip


def unboxed(threat: Threat, folder: RunFolder) -> dict[str, Any]:
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
