"""The figures of the pages that explain gates and noise.

python experiments/figures/explain.py
"""

from __future__ import annotations

import numpy as np
import paths  # noqa: F401  # lets nets be imported
import style
import torch
from matplotlib.axes import Axes
from nets import Nets
from torch import Tensor

from adrgd import PGD, GraduatedADR, LinfBall, Misclassify, Output, load_data, load_model
from adrgd.plot import Plane, gate_histogram, slice_2d
from adrgd.plot.gates import soft_gates
from adrgd.surrogate import gated
from adrgd.watch import follow

SIGMAS = (0.05, 0.2, 0.5)
COLOURS = (style.GD, style.ADR, style.GRADUATED)
SEED = 5  # of the network of one input, chosen: a peak inside, the maximum at an end
EPS, IMAGES = 0.25, 8
IMAGE = 158  # one of the first 200 test images that GraduatedADR breaks in 40 iterations and PGD does not


def gate_curves(axes: Axes) -> str:
    """A ReLU's gate against its pre-activation."""
    h = torch.linspace(-1, 1, 401)
    axes.plot(h, (h > 0).float(), color=style.INK, linewidth=1.2, label="0: backpropagation")
    for sigma, colour in zip(SIGMAS, COLOURS, strict=True):
        axes.plot(h, torch.special.ndtr(h / sigma), color=colour, linewidth=1.5, label=f"{sigma:g}")
    axes.set(xlabel=r"$h$", ylabel=r"gate  $\Phi(h\,/\,\sigma\|P\|)$")
    axes.legend(frameon=False, title=r"$\sigma\|P\|$", fontsize=7)
    return "A neuron's gate under noise"


def histogram(axes: Axes) -> str:
    """How many gates of a trained network are open by how much."""
    model, data = load_model("bundled:mnist-pgd"), load_data("bundled:mnist", limit=IMAGES)
    gate_histogram(model, data.images, [0.0, 0.05, 0.25], axes)
    axes.set_ylabel("share of the gates, log scale")
    return f"bundled:mnist-pgd, {IMAGES} images"


def one_input() -> Nets:
    return Nets((1, 12, 12, 1), [SEED], torch.float64)


def smoothed_slope(f: object, x: Tensor, sigma: float) -> Tensor:
    """The gradient through graduated gates of this noise."""
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(gated(f, x, soft_gates(f, x.detach(), sigma))[0].sum(), x)[0][:, 0]  # type: ignore[arg-type]


def one_dimension(value: Axes, slopes: Axes) -> tuple[str, str]:
    """A network of one input, and what each noise level takes for its slope."""
    net = one_input()
    x = torch.linspace(-1, 1, 801, dtype=torch.float64)[:, None]

    def f(x: Tensor) -> Tensor:
        return net(x, torch.zeros(len(x), dtype=torch.int64))

    with torch.no_grad():
        value.plot(x, f(x), color=style.INK, linewidth=1.5)
    value.set(xlabel="$x$", ylabel="$f(x)$")
    slopes.axhline(0, color=style.FAINT, linewidth=0.6)
    slopes.plot(x, smoothed_slope(f, x, 0.0), color=style.INK, linewidth=1, label="0")
    for sigma, colour in zip(SIGMAS, COLOURS, strict=True):
        slopes.plot(x, smoothed_slope(f, x, sigma), color=colour, linewidth=1.5, label=f"{sigma:g}")
    slopes.set(xlabel="$x$", ylabel="slope through the gates")
    slopes.legend(frameon=False, title=r"$\sigma$", fontsize=7)
    return "A network of one input", "Its slope through graduated gates"


def attack_plane(axes: Axes) -> str:
    """The loss of one image of the bundled network, on the plane through two attacks' ends."""
    model, data = load_model("bundled:mnist-pgd"), load_data("bundled:mnist", limit=1, offset=IMAGE)
    goal, ball = Misclassify(model, data.labels), LinfBall(data.images, EPS)
    followed = {
        name: follow(goal, data.images, ball, solver, 40)
        for name, solver in {"PGD": PGD(), "GraduatedADR": GraduatedADR()}.items()
    }
    if [bool(path.solution.reached) for path in followed.values()] != [False, True]:
        raise SystemExit("no longer an image that GraduatedADR breaks and PGD does not: choose another one")
    runs = {name: path.points[:, 0] for name, path in followed.items()}
    plane = Plane.through(data.images[0], runs["PGD"][-1], runs["GraduatedADR"][-1])
    loss = Output(lambda x: goal(x, torch.zeros(len(x), dtype=torch.int64)).value[:, None])
    slice_2d(
        loss, plane, axes, low=(-0.3, -0.5), high=(1.4, 1.2), points=81, polytopes=False, cmap=style.LANDSCAPE,
        trajectories=runs,
    )  # fmt: skip
    axes.set(xlabel="towards PGD's end", ylabel="across")
    return f"Loss around test image {IMAGE}, eps {EPS}"


def main() -> None:
    torch.set_num_threads(1)
    figure = style.canvas(7.2, 2.7)
    panels = figure.subplots(1, 2)
    for axes, letter, text in zip(panels, "ab", (gate_curves(panels[0]), histogram(panels[1])), strict=True):
        style.title(axes, letter, text)
    style.save(figure, "gates")
    figure = style.canvas(7.2, 5.6)
    panels = figure.subplots(2, 2).ravel()
    texts = (*one_dimension(panels[0], panels[1]), noise_left(panels[2]), attack_plane(panels[3]))
    for axes, letter, text in zip(panels, "abcd", texts, strict=True):
        style.title(axes, letter, text)
    style.save(figure, "sigma")


def noise_left(axes: Axes) -> str:
    """sigma over a run, for the default and for restarts."""
    t = np.arange(101)
    axes.plot(t, 2 * np.clip(1 - t / 70, 0, None), color=style.GRADUATED, linewidth=2, label="default")
    for k, sigma in enumerate((0.3, 0.6, 1.2, 3.0)):
        axes.plot(
            t,
            sigma * np.clip(1 - t / 70, 0, None),
            color=style.FAINT,
            linewidth=1,
            label="" if k else "restarts",
        )
    axes.set(xlabel="iteration of 100", ylabel=r"$\sigma$, in radii")
    axes.legend(frameon=False, fontsize=7)
    return "Noise over a run"


if __name__ == "__main__":
    main()
