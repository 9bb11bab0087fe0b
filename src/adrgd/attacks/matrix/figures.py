"""The figures of an evaluation: of each cell, of all attacks together, and the signs of failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from adrgd.attacks.matrix import indicators
from adrgd.attacks.matrix.cells import Cell
from adrgd.attacks.matrix.entrants import NOISE
from adrgd.attacks.matrix.indicators import Array, Indicator
from adrgd.attacks.summary import summarise, wilson
from adrgd.gates import Gating

Columns = Mapping[str, Any]
KEPT = (
    "images", "clean_accuracy", "success_rate", "success_interval_95", "robust_accuracy", "mean_clean_loss",
    "mean_loss", "forward_passes", "backward_passes", "seconds",
)  # fmt: skip


def of_cell(cell: Cell, columns: Columns) -> dict[str, Any]:
    """What one attack achieved, and what it took."""
    whole = summarise(dict(columns), {"seed": None}, out=Path())
    counts = {name: int(columns[name].sum()) for name in ("outside", "unconfirmed", "silent")}
    recorded = {name: whole[name] for name in whole if name.startswith("recorded_")}
    return asdict(cell) | {name: whole[name] for name in KEPT} | _interval(columns) | counts | recorded


def of_union(model: str, eps: float, found: Mapping[str, Columns]) -> dict[str, Any]:
    """The worst of all attacks, image by image; `found` by attack."""
    success = np.any([columns["success"] for columns in found.values()], axis=0)
    right = np.all([columns["adversarial_prediction"] == columns["label"] for columns in found.values()], axis=0)
    count = len(success)
    return {
        "model": model, "eps": eps, "attacks": list(found), "images": count, "success_rate": float(success.mean()),
        "success_interval_95": list(wilson(int(success.sum()), count)),
        "robust_accuracy": float(right.mean()), "robust_interval_95": list(wilson(int(right.sum()), count)),
        "alone": {name: int((columns["success"] & ~_others(found, name)).sum()) for name, columns in found.items()},
    }  # fmt: skip


def of_signs(
    cells: Mapping[Cell, Columns],
    gradients: Mapping[tuple[str, float], Mapping[str, Array]],
    gates: Mapping[tuple[str, str], Gating],
    scales: Mapping[str, str | None],
) -> list[dict[str, Any]]:
    """All indicators; `gradients` by model and radius, `gates` by model and attack, `scales` of outputs by model."""
    signs: list[dict[str, Any]] = []

    def add(sign: Indicator, model: str, eps: float | None, attack: str | None) -> None:
        signs.append({"model": model, "eps": eps, "attack": attack} | asdict(sign))

    for model, kind in scales.items():
        add(indicators.squashed_outputs(kind), model, None, None)
    for (model, eps), one in gradients.items():
        add(indicators.zero_gradients(one["zero"], one["standing"]), model, eps, None)
        add(indicators.masked_gradients(one["misleading"], one["standing"]), model, eps, None)
    for (model, attack), gating in gates.items():
        add(indicators.missing_gates(gating), model, None, attack)
    by_attack: dict[tuple[str, str], dict[float, Array]] = {}
    for cell, columns in cells.items():
        by_attack.setdefault((cell.model, cell.attack), {})[cell.eps] = columns["success"]
        if cell.attack == NOISE:
            continue
        add(indicators.silent_success(columns["silent"]), cell.model, cell.eps, cell.attack)
        add(indicators.incomplete(columns["history"], columns["success"]), cell.model, cell.eps, cell.attack)
        if "not_finite" in columns:
            add(indicators.not_finite(columns["not_finite"]), cell.model, cell.eps, cell.attack)
        noise = cells.get(Cell(cell.model, cell.eps, NOISE))
        if noise is not None:
            wrong = columns["clean_prediction"] != columns["label"]
            sign = indicators.noise_as_strong(noise["success"], columns["success"], wrong)
            add(sign, cell.model, cell.eps, cell.attack)
    for (model, attack), success in by_attack.items():
        if len(success) > 1 and attack != NOISE:
            add(indicators.not_monotone(success), model, None, attack)
    return signs


def by_passes(columns: Columns, passes: Sequence[float]) -> list[float]:
    """The share of images broken by each number of forward and backward passes an image."""
    after = columns["broken_after"]
    return [float(((after >= 0) & (after <= limit)).mean()) for limit in passes]


def _interval(columns: Columns) -> dict[str, Any]:
    right = columns["adversarial_prediction"] == columns["label"]
    return {"robust_interval_95": list(wilson(int(right.sum()), len(right)))}


def _others(found: Mapping[str, Columns], name: str) -> Array:
    rest = [columns["success"] for key, columns in found.items() if key != name]
    broken: Array = np.any(rest, axis=0) if rest else np.zeros_like(found[name]["success"])
    return broken
