"""Figure 5: the sigmoid surrogate at four steepnesses, and what each of them reaches on random networks.

python experiments/figures/figure5.py             # computes about a quarter of an hour on one core, then draws
python experiments/figures/figure5.py --redraw    # draws what is kept in results/
"""

from __future__ import annotations

from dataclasses import dataclass

import ablation
import numpy as np
import pyarrow.parquet as pq
import style
import torch
import tyro
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from adrgd.surrogate import sigmoid_gates

PRINTED = {
    "A": {0: 40.58, 20: 25.84, 200: 43.75, 2000: 43.95, 20000: 44.12},
    "C": {0: 35807.10, 20: 19942.94, 200: 36219.05, 2000: 37672.04, 20000: 37054.31},
}
"""The paper's figure, to be drawn beside what is measured: GD at 0, ADR-GD by alpha."""

SHADES = ("#f4b183", "#ea8f57", style.ADR, "#7d3600")


@dataclass(frozen=True)
class Options:
    redraw: bool = False
    """Draw from results/ without computing."""


def draw_sigmoids(axes: Axes) -> None:
    eta = torch.linspace(0, 1, 2001, dtype=torch.float64)
    for alpha, shade in zip(ablation.ALPHAS, SHADES, strict=True):
        (gate,) = sigmoid_gates([eta], alpha)
        axes.plot(eta, gate, color=shade, linewidth=1.4, label=rf"$\alpha={alpha}$")
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), xlabel=r"$\eta$")
    axes.set_ylabel(r"$s_\alpha(\eta)$")
    axes.legend(frameon=False, fontsize=7, loc="upper left", handlelength=1.2)


def draw_bars(axes: Axes, model: str, lines: list[dict[str, float]]) -> None:
    """Means of the measured values with standard errors, beside the printed ones."""
    settings = (0, *ablation.ALPHAS)
    values = [np.array([x["best" if alpha else "last"] for x in lines if x["alpha"] == alpha]) for alpha in settings]
    means = [value.mean() for value in values]
    errors = [value.std(ddof=1) / len(value) ** 0.5 for value in values]
    places = np.arange(len(settings))
    colours = [style.GD, *[style.ADR] * 4]
    axes.bar(places - 0.2, [PRINTED[model][alpha] for alpha in settings], 0.36, color=style.PRINTED)
    axes.bar(places + 0.2, means, 0.36, color=colours, yerr=errors, error_kw={"elinewidth": 0.8, "ecolor": style.INK})
    for place, mean in zip(places, means, strict=True):
        axes.text(place + 0.2, mean * 0.02, f"{mean:,.0f}" if mean > 1000 else f"{mean:.1f}", rotation=90, ha="center",
                  va="bottom", color=style.PAPER, fontsize=7)  # fmt: skip
        printed = PRINTED[model][settings[place]]
        axes.text(place - 0.2, mean * 0.02, f"{printed:,.0f}" if printed > 1000 else f"{printed:.1f}", rotation=90,
                  ha="center", va="bottom", fontsize=7)  # fmt: skip
    axes.set_xticks(places, ["GD", *(f"{alpha}" for alpha in ablation.ALPHAS)])
    axes.set_xlabel(r"ADR-GD with $\alpha$", x=0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.locator_params(axis="y", nbins=5)


def main(options: Options) -> None:
    if not options.redraw:
        ablation.measure()
    if not ablation.FILE.exists():
        raise SystemExit(f"{ablation.FILE} is missing: run without --redraw first")
    lines = pq.read_table(ablation.FILE).to_pylist()
    figure = style.canvas(7.2, 2.9)
    left, *right = figure.subplots(1, 3, width_ratios=(0.85, 1, 1))
    draw_sigmoids(left)
    style.title(left, "a", "The sigmoid surrogate")
    for axes, letter, model in zip(right, "bc", ablation.NETS, strict=True):
        chosen = [line for line in lines if line["model"] == model]
        draw_bars(axes, model, chosen)
        style.title(axes, letter, f"Model {model}, {len({line['net'] for line in chosen})} networks")
    swatches = [Patch(color=colour) for colour in (style.PRINTED, style.GD, style.ADR)]
    names = ["as the paper prints it", "measured: GD, last of T", "measured: ADR-GD, best of T"]
    figure.legend(swatches, names, loc="outside lower right", ncols=3, frameon=False, fontsize=7)
    style.save(figure, "figure5")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
