"""An evaluation's pages: report.md and report.html."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from adrgd.attacks.matrix.cells import Cell
from adrgd.attacks.matrix.figures import Columns, by_passes
from adrgd.attacks.matrix.tables import LEGEND, known, known_words, markdown, seen, shown, tables, where
from adrgd.page import chart, render
from adrgd.runs import Run

GRID = 120  # points of a curve


def write_report(folder: Run, cells: Mapping[Cell, Columns], summary: dict[str, Any]) -> None:
    """Write both pages; `cells` are the finished ones."""
    folder.write_text("report.md", markdown(summary))
    curves = [_curve(cells, union["model"], union["eps"]) for union in summary["unions"]]
    page = render(
        "attacks/matrix/report.html.j2", summary=summary, legend=LEGEND, signs=seen(summary),
        parts=[
            (table, curve, found, known_words(found) if found else "")
            for table, curve, found in zip(
                tables(summary), curves, [known(summary, union) for union in summary["unions"]], strict=True
            )
        ],
        others=shown(summary),
        failures=[(where(failure), failure["reason"]) for failure in summary["failures"]],
        config=json.dumps(summary["config"], indent=2),
    )  # fmt: skip
    folder.write_text("report.html", page)


def _curve(cells: Mapping[Cell, Columns], model: str, eps: float) -> str:
    found = {cell.attack: columns for cell, columns in cells.items() if (cell.model, cell.eps) == (model, eps)}
    most = max(int((one["forward_passes"] + one["backward_passes"]).max()) for one in found.values())
    passes = np.geomspace(1, max(most, 2), GRID).tolist()
    lines = {name: by_passes(columns, passes) for name, columns in found.items()}
    top = min(1.0, 0.02 + 1.1 * max(max(line) for line in lines.values()))
    return chart(
        passes, lines, xlabel="forward and backward passes an image", ylabel="share of images broken",
        limits=(0.0, top), log_x=True,
    )  # fmt: skip
