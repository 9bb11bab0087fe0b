"""Figure 2: a toy in one dimension. What eta can see from x, what it does there, and where three solvers end.

python experiments/figures/figure2.py
"""

from __future__ import annotations

import numpy as np
import style
import torch
from matplotlib.axes import Axes
from toy import Toy, find

SHOWN = 40  # iterations


def segments(toy: Toy) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two ends of f1, f2, f3 and f4, and the values there."""
    return [(toy.edges[k : k + 2].numpy(), np.array([toy.value(k), toy.value(k + 1)])) for k in range(4)]


def draw_function(axes: Axes, toy: Toy, *, labels: bool) -> None:
    for k, (x, y) in enumerate(segments(toy)):
        axes.plot(x, y, color=style.INK, linewidth=1.4, zorder=2)
        if k < 3:
            axes.plot(x[1], y[1], "o", color=style.INK, markersize=2.6)
        if labels:
            axes.annotate(
                f"$f_{k + 1}$", (x.mean(), y.mean()), (-4 if k == 1 else 3, 6), textcoords="offset points", fontsize=9
            )
    axes.set(xlim=(-1.03, 1.03), xticks=(-1, -0.5, 0, 0.5, 1), xlabel="input", ylabel="f")


def draw_run(axes: Axes, toy: Toy) -> None:
    """GD's iterates on the function."""
    draw_function(axes, toy, labels=True)
    points = toy.runs["GD"].points[:, toy.row]
    values = toy.net(points, torch.zeros(len(points), dtype=torch.int64)).numpy()
    axes.plot(points[:, 0], values, "o", color=style.GD, markersize=3.2, markeredgewidth=0, alpha=0.8, zorder=4)
    axes.plot(toy.start, toy.at_x[1], "D", color=style.INK, markersize=4.5, zorder=5)
    axes.annotate("x", (toy.start, toy.at_x[1]), (5, -9), textcoords="offset points")
    axes.annotate(
        "GD stops here", (float(points[-1, 0]), values[-1]), (4, 6), textcoords="offset points", color=style.GD
    )
    best = max(range(5), key=lambda k: toy.value(k))
    axes.annotate("maximum", (float(toy.edges[best]), toy.value(best)), (9, -3), textcoords="offset points")


def draw_extensions(axes: Axes, toy: Toy) -> None:
    """Each segment's line as far as x: the values that the four patterns give there."""
    draw_function(axes, toy, labels=False)
    axes.axvline(toy.start, color=style.FAINT, linewidth=0.6, zorder=1)
    for k, (x, y) in enumerate(segments(toy)):
        if k != 1:
            near = int(np.abs(x - toy.start).argmin())
            axes.plot(
                [x[near], toy.start], [y[near], toy.at_x[k]], color=style.INK, linewidth=0.8, linestyle=(0, (3, 2))
            )
        axes.plot(toy.start, toy.at_x[k], "o", color=style.PAPER, markeredgecolor=style.INK, markersize=4.5, zorder=5)
        axes.annotate(
            f"$f_{k + 1}(x)$", (toy.start, toy.at_x[k]), (-24, 5) if k == 1 else (6, -3), textcoords="offset points",
        )  # fmt: skip


def draw_eta(axes: Axes, toy: Toy) -> None:
    """The three activation variables of ADR-GD, in the settings that leave the peak."""
    states = toy.runs["ADR-GD, released settings"].states[:SHOWN]
    eta = torch.stack([state.eta[0][toy.row] for state in states])
    kinks = -toy.net.layers[0].bias[0] / toy.net.layers[0].weight[0, :, 0]
    for place, dash in zip(range(3), ("-", (0, (4, 2)), (0, (1, 1.5))), strict=True):
        neuron = int((kinks - toy.edges[place + 1]).abs().argmin())
        label = f"the neuron between $f_{place + 1}$ and $f_{place + 2}$"
        axes.plot(eta[:, neuron], color=style.ADR, linestyle=dash, linewidth=1.1, label=label)
    axes.axhline(0.5, color=style.FAINT, linewidth=0.6)
    axes.set(xlim=(0, SHOWN), ylim=(0.28, 0.9), yticks=(0.3, 0.5, 0.7), xlabel="iteration", ylabel=r"$\eta$")
    axes.legend(frameon=False, fontsize=7, loc="upper left")


def draw_inputs(axes: Axes, toy: Toy) -> None:
    """The input over the iterations, on the segments as bands."""
    for k in range(4):
        low, high = sorted(toy.edges[k : k + 2].tolist())
        axes.axhspan(low, high, color="#eceae4" if k % 2 else "#f8f7f3", linewidth=0, zorder=0)
        axes.text(SHOWN * 1.01, (low + high) / 2, f"$f_{k + 1}$", va="center", fontsize=9)
    for name, (colour, dash) in style.SOLVERS.items():
        axes.plot(toy.runs[name].points[:SHOWN, toy.row, 0], color=colour, linestyle=dash, linewidth=1.3, label=name)
    axes.set(xlim=(0, SHOWN), ylim=(-1, 1), yticks=(-1, -0.5, 0, 0.5, 1), xlabel="iteration", ylabel="input")
    axes.legend(frameon=False, fontsize=7, loc=(0.46, 0.13))


def main() -> None:
    torch.set_num_threads(1)
    toy = find()
    figure = style.canvas(7.2, 5.0)
    panels = figure.subplots(2, 2).ravel()
    for draw, axes, letter, text in zip(
        (draw_run, draw_extensions, draw_eta, draw_inputs),
        panels,
        "abcd",
        (
            "Gradient descent from x",
            "What each pattern's line is worth at x",
            r"ADR-GD's $\eta$, released settings",
            "Where the solvers go",
        ),
        strict=True,
    ):
        draw(axes, toy)
        style.title(axes, letter, text)
    found = "; ".join(f"{count} by {name}" for name, count in toy.reached.items())
    figure.supxlabel(f"Maximum found, of {toy.cases} such starts:  {found}", fontsize=7.5, x=0.01, ha="left")
    print(f"network {toy.net.seeds[0]}")
    style.save(figure, "figure2")


if __name__ == "__main__":
    main()
