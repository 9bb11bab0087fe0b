"""Figure 1: landscapes of 2-D ReLU networks, their polytopes, and what gradients do at the borders.

python experiments/figures/figure1.py
"""

from __future__ import annotations

from collections.abc import Callable

import boundary
import landscape
import style
import torch
from landscape import Landscape, grid
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from torch import Tensor

from adrgd.plot import Plane, count_polytopes, slice_2d

HALO = [withStroke(linewidth=2.2, foreground=style.PAPER)]
Function = Callable[[Tensor], Tensor]
Corner = tuple[float, float]


def draw_landscape(axes: Axes, f: Function, low: Corner, high: Corner, width: float, points: int = 401) -> int:
    """Shade f between two corners and draw every neuron's zero set; returns the number of polytopes on the grid."""
    plane = Plane.of_two_inputs(torch.float64)
    slice_2d(f, plane, axes, low=low, high=high, points=points, linewidth=width, cmap=style.LANDSCAPE)
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    axes.locator_params(nbins=5)
    return count_polytopes(f, plane, low=low, high=high, points=points)


def draw_small(axes: Axes) -> str:
    """Panel a: three neurons."""
    regions = draw_landscape(axes, boundary.small_net(), (-1, -1), (1, 1), 1.2)
    for text, place, angle in (
        ("$h_1=0$", (-0.78, 0.56), -53),
        ("$h_2=0$", (-0.72, -0.21), 26),
        ("$h_3=0$", (0.55, -0.3), -37),
    ):
        axes.text(*place, text, rotation=angle, ha="center", va="center", path_effects=HALO)
    axes.plot(*boundary.POINT[0], "o", color=style.INK, markersize=3.5)
    axes.text(0.55, 0.44, "d", weight="bold", path_effects=HALO)
    return f"3 hidden neurons, {regions} polytopes"


def draw_runs(axes: Axes, shown: Landscape) -> str:
    """Panel b: the solvers from the same start."""
    regions = draw_landscape(axes, one(shown), (-1, -1), (1, 1), 0.35)
    for name, run in shown.runs.items():
        points = run.points[:, shown.row]
        colour, dash = style.SOLVERS[name]
        axes.plot(*points.T, color=colour, linestyle=dash, linewidth=1.5, path_effects=HALO, zorder=3)
        axes.plot(*points[-1], "o", color=colour, markersize=5, markeredgecolor=style.PAPER, zorder=4)
    axes.plot(0, 0, "D", color=style.INK, markersize=4.5, markeredgecolor=style.PAPER, zorder=5)
    axes.annotate("start", (0, 0), (-8, -12), textcoords="offset points", ha="right", path_effects=HALO)
    axes.annotate("GD ends", run_end(shown), (6, 10), textcoords="offset points", color=style.GD, path_effects=HALO)
    axes.annotate(
        "maximum",
        (float(shown.peak[0]), float(shown.peak[1])),
        (6, 7),
        textcoords="offset points",
        ha="right",
        path_effects=HALO,
    )
    axes.plot(*shown.peak, "*", color=style.INK, markersize=9, markeredgecolor=style.PAPER, zorder=5, clip_on=False)
    return f"{sum(landscape.WIDTHS[1:-1])} hidden neurons, {regions} polytopes"


def draw_stuck(axes: Axes, shown: Landscape, half: float = 0.14) -> str:
    """Panel c: around the point where GD ends."""
    points = shown.runs["GD"].points[:, shown.row]
    x, y = run_end(shown)
    draw_landscape(axes, one(shown), (x - half, y - half), (x + half, y + half), 0.7)
    where = grid((x - 0.85 * half, y - 0.85 * half), (x + 0.85 * half, y + 0.85 * half), 9).requires_grad_(True)
    (arrows,) = torch.autograd.grad(one(shown)(where).sum(), where)
    arrows = arrows / arrows.norm(dim=1, keepdim=True)
    axes.quiver(
        *where.detach().T, *arrows.T, color=style.FAINT, pivot="mid", angles="xy", scale=22, width=0.005, zorder=2
    )
    axes.plot(*points.T, color=style.GD, linewidth=0.5, alpha=0.5, zorder=3)
    axes.plot(*points.T, "o", color=style.GD, markersize=3, markeredgewidth=0, zorder=3)
    axes.plot(x, y, "o", color=style.INK, markersize=5.5, markeredgecolor=style.PAPER, zorder=4)
    return "Around GD's end; arrows: gradients"


def draw_boundary(axes: Axes, half: float = 0.45) -> str:
    """Panel d: on a neuron's line."""
    x, y = boundary.POINT[0].tolist()
    draw_landscape(axes, boundary.small_net(), (x - half, y - half), (x + half, y + half), 1.2)
    chosen = boundary.choices()
    if not torch.equal(chosen["backpropagation"].gradient, chosen["dead"].gradient):
        raise SystemExit("backpropagation no longer gives a neuron at zero the slope 0: draw another figure")
    for name, colour, text, place in (
        ("dead", style.GD, r"$\nabla^-f$: backpropagation", (0.09, -0.05)),
        ("alive", style.INK, r"$\nabla^+f$", (-0.15, 0.39)),
        ("graduated", style.GRADUATED, "graduated gate", (0.08, 0.25)),
    ):
        tip = boundary.POINT[0] + 0.24 * chosen[name].gradient
        axes.annotate(
            "", tip.tolist(), (x, y), zorder=4,
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        axes.text(
            x + place[0], y + place[1], f"{text}\n{chosen[name].gain:+.2f}", color=colour, va="top", fontsize=7.5,
            path_effects=HALO,
        )  # fmt: skip
    axes.plot(x, y, "o", color=style.INK, markersize=5, zorder=5)
    return f"On a neuron's line; what a step of {boundary.LENGTH} gains"


def run_end(shown: Landscape) -> Corner:
    """Where GD's last iterate lies."""
    x, y = shown.runs["GD"].points[-1, shown.row].tolist()
    return x, y


def one(shown: Landscape) -> Function:
    """The network of panels b and c as a plain function."""
    return lambda x: shown.net(x, torch.zeros(len(x), dtype=torch.int64))


def main() -> None:
    torch.set_num_threads(1)
    shown = landscape.find()
    figure = style.canvas(7.2, 7.5)
    panels = figure.subplots(2, 2).ravel()
    titles = (
        draw_small(panels[0]),
        draw_runs(panels[1], shown),
        draw_stuck(panels[2], shown),
        draw_boundary(panels[3]),
    )
    for axes, letter, text in zip(panels, "abcd", titles, strict=True):
        style.title(axes, letter, text)
    handles = [Line2D([], [], color=colour, linestyle=dash, linewidth=1.5) for colour, dash in style.SOLVERS.values()]
    labels = [f"{name}: {shown.found[name]}" for name in style.SOLVERS]
    heading = f"Solvers, and in how many of {landscape.DRAWN} random networks each found the maximum"
    figure.legend(handles, labels, title=heading, loc="outside lower center", ncols=4, frameon=False)
    print(f"network {shown.net.seeds[0]}; maximum found: {shown.found} of {landscape.DRAWN}")
    style.save(figure, "figure1")


if __name__ == "__main__":
    main()
