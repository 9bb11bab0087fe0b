"""One look for all figures: a colour for each solver (Okabe & Ito's palette), small type, files that repeat exactly."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import paths
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

INK, FAINT, PRINTED, PAPER = "#222222", "#8a8a8a", "#d4d2cc", "#ffffff"
GD, ADR, GRADUATED = "#009e73", "#d55e00", "#0072b2"
ADAM, SIGN, LEAKY, SIGMOID = "#cc79a7", "#222222", "#e69f00", "#56b4e9"
"""A solver has the same colour wherever it appears; SIGN, LEAKY and SIGMOID are sign steps behind different gates."""

Dash = str | tuple[float, tuple[float, ...]]
SOLVERS: dict[str, tuple[str, Dash]] = {
    "GD": (GD, "-"),
    "ADR-GD": (ADR, "-"),
    "ADR-GD, released settings": (ADR, (0, (4, 2))),
    "GraduatedADR": (GRADUATED, "-"),
}
"""Colour and dashes of the runs in Figures 1 and 2."""

LANDSCAPE = LinearSegmentedColormap.from_list("landscape", ["#6f7f93", "#a9b3bd", "#d9d8d0", "#f3eedf", "#fffdf5"])
"""From low to high; pale enough for lines on top of it."""

matplotlib.rcParams.update(
    {
        "font.size": 8,
        "axes.titlesize": 8.5,
        "axes.titlelocation": "left",
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "lines.solid_capstyle": "round",
        "mathtext.fontset": "dejavusans",
        "svg.hashsalt": "adrgd",
    }
)


def canvas(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)


def save(figure: Figure, name: str) -> list[Path]:
    """Write SVG and PNG without dates or versions, so that the same data give the same bytes."""
    paths.FIGURES.mkdir(parents=True, exist_ok=True)
    files = [paths.FIGURES / f"{name}.{kind}" for kind in ("svg", "png")]
    figure.savefig(files[0], dpi=150, metadata={"Date": None, "Creator": None})
    figure.savefig(files[1], dpi=200, metadata={"Software": None})
    for file in files:
        print(f"{file.relative_to(paths.FIGURES.parents[1])}  {file.stat().st_size / 1000:.0f} kB")
    return files


def title(axes: Axes, letter: str, text: str) -> None:
    """A panel's letter in bold and what it shows."""
    axes.set_title(rf"$\bf{{{letter}}}$  {text}", pad=5)
