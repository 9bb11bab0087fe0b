"""Beside what all attacks broke at a radius: what is certified, and what is neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from adrgd.attacks.certify import certify_images, figures
from adrgd.attacks.matrix.cells import Cell
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.threat import Threat
from adrgd.data import Images

Columns = Mapping[str, Any]


def certify_cell(
    model: nn.Module, images: Images, threat: Threat, found: Mapping[Cell, Columns], out: Path, *, name: str,
    seconds: float, config: dict[str, Any], notes: list[str], advance: Callable[[int], None],
) -> tuple[Cell, list[dict[str, Any]], dict[str, Any]]:  # fmt: skip
    """Certify the images of a model that stand against all attacks at a radius, in a folder of its own.

    Args:
        found: the cells of this model and radius.
        name: of the model.
        seconds: for each image.
        advance: told of each image.

    Returns:
        Its place, a row for each image, and the counts.
    """
    cell = Cell(name, threat.eps, f"certificates of {seconds:g} s")
    columns = list(found.values())
    broken = np.any([one["success"] for one in columns], axis=0)
    certain = [one["certified"] for one in columns if "certified" in one]
    before = np.any(certain, axis=0) if certain else np.zeros_like(broken)
    with RunFolder(out / "cells" / cell.folder, config | {"cell": asdict(cell)}, resume=True) as folder:
        rows = certify_images(
            model, images, folder, threat, broken=broken, before=before & ~broken, targets=columns[0]["target"],
            seconds=seconds, advance=lambda done, certified: advance(1),
        )  # fmt: skip
        notes += folder.notes
    both = int((before & broken).sum()) + sum(
        row["verdict"] == "certified" and bool(hit) for row, hit in zip(rows, broken, strict=True)
    )
    counts = {"model": name, "eps": threat.eps, "images": len(rows)} | figures(rows, seconds)
    return cell, rows, counts | ({"broken_and_certified": both} if both else {})
