"""Value against passes spent, on the random networks of the study: what each method has found by then.

python experiments/random_nets/run.py              # first: the runs themselves
python experiments/figures/passes.py               # their courses, kept in results/, and the figure
python experiments/figures/passes.py --redraw      # the figure alone
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import curves
import numpy as np
import pyarrow.parquet as pq
import style
import tyro
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter
from nets import MODELS

LINES = {
    "graduated": ("GraduatedADR", style.GRADUATED, "-"),
    "graduated-default": ("GraduatedADR, defaults", style.GRADUATED, (0, (4, 1.6))),
    "sign": ("sign steps", style.SIGN, "-"),
    "leaky": ("leaky backward", style.LEAKY, "-"),
    "sigmoid": ("sigmoid backward", style.SIGMOID, "-"),
    "adam": ("Adam", style.ADAM, "-"),
    "gd": ("GD", style.GD, "-"),
    "adr": ("ADR-GD", style.ADR, "-"),
    curves.PUBLISHED: ("ADR-GD, one run", style.ADR, (0, (1, 1.2))),
}
LEADER = {"arrowstyle": "-", "linewidth": 0.4, "shrinkA": 1, "shrinkB": 1, "relpos": (0, 0.5)}
WORST = 0.3
"""The largest gap shown."""


@dataclass(frozen=True)
class Options:
    redraw: bool = False
    """Draw from results/ without computing."""
    models: tuple[str, ...] = tuple(MODELS)
    """Which models to compute; all three are drawn."""
    parts: Path = Path("runs/random_nets/seed-0")
    """Where experiments/random_nets/run.py keeps its runs."""


def spread_out(heights: list[float], gap: float) -> list[float]:
    """Move labels apart, in a few sweeps, until neighbours differ by `gap` and none is above the panel."""
    order = np.argsort(heights)
    placed = np.array(heights)[order]
    for _ in range(300):
        placed[-1] = min(placed[-1], 0.98)
        for i in range(len(placed) - 1):
            lack = gap - (placed[i + 1] - placed[i])
            if lack > 0:
                placed[i] -= lack / 2
                placed[i + 1] += lack / 2
    return [float(height) for height in placed[np.argsort(order)]]


def draw(axes: Axes, points: list[dict[str, Any]], best: float) -> None:
    """The gaps of one model on an inverted logarithmic axis that ends at `best`."""
    labels = []
    axes.set_rasterization_zorder(0)  # the bands become one small picture inside the SVG
    for method, (name, colour, dash) in LINES.items():
        own = [point for point in points if point["method"] == method]
        x, gap, error = (np.array([point[what] for point in own]) for what in ("passes", "gap", "error"))
        axes.plot(x, gap, color=colour, linestyle=dash, linewidth=1.4, zorder=4 if method == "graduated" else 3)
        axes.fill_between(
            x, (gap - error).clip(best / 2), gap + error, color=colour, alpha=0.12, linewidth=0, zorder=-1
        )
        labels.append((name, colour, x[-1], gap[-1]))
    axes.set(xscale="log", yscale="log", xlim=(10, 13_000), ylim=(WORST, best))
    to_axes = axes.transScale + axes.transLimits  # data to shares of the panel
    heights = [float(to_axes.transform((x, max(gap, best)))[1]) for _, _, x, gap in labels]
    for (name, colour, x, gap), height in zip(labels, spread_out(heights, 0.082), strict=True):
        axes.annotate(
            name, (x, max(gap, best)), (1.03, height), textcoords="axes fraction", color=colour, va="center",
            fontsize=7.5, arrowprops={**LEADER, "color": colour},
        )  # fmt: skip
    axes.yaxis.set_major_locator(FixedLocator([0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003]))
    axes.yaxis.set_major_formatter(lambda gap, _: f"{100 * gap:.2g}%")
    axes.yaxis.set_minor_formatter(NullFormatter())


def main(options: Options) -> None:
    if not options.redraw:
        for model in options.models:
            curves.measure(model, options.parts)
    if missing := [str(curves.file(model)) for model in MODELS if not curves.file(model).exists()]:
        raise SystemExit(f"{', '.join(missing)} missing: run without --redraw first")
    figure = style.canvas(7.2, 7.6)
    for axes, letter, model in zip(figure.subplots(3, 1, sharex=True), "abc", MODELS, strict=True):
        points = pq.read_table(curves.file(model)).to_pylist()
        draw(axes, points, best=min(point["gap"] for point in points if point["gap"] > 0) * 0.8)
        style.title(axes, letter, f"Model {model}: {'-'.join(map(str, MODELS[model]))}, {points[0]['nets']} networks")
        axes.set_ylabel("gap to best known")
    axes.set_xlabel("forward and backward passes for each network")
    style.save(figure, "value-against-passes")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
