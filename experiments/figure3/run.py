"""Figure 3(a)-(b): success rates and mean losses of all solvers and peers, untargeted and targeted.

    python experiments/figure3/run.py
    python experiments/figure3/run.py --limit 20 --peers --steps 20      # minutes less: no peers, fewer images
    python experiments/figure3/run.py --dataset cifar10 --folder FOLDER  # with cifar10.npz

Three networks of one architecture: trained on clean images, on FGSM's, on PGD's. Each goal is an evaluation under
--runs, and goes on where it was stopped. Losses are raised on after success, as the figure compares them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adrgd.attacks import Attack, Standard
from adrgd.attacks.matrix import Own, Peer, run_matrix
from adrgd.attacks.matrix.entrants import Entrant
from adrgd.attacks.matrix.tables import markdown
from adrgd.cli.progress import progress_bar
from adrgd.data import load_data
from adrgd.errors import AdrgdError, UsageError
from adrgd.files import write_text, write_with
from adrgd.models import load_model
from adrgd.solvers import FGSM, PGD, GraduatedADR, Solver, preset

HERE = Path(__file__).parent
Goal = Literal["untargeted", "targeted"]
GOALS: tuple[Goal, ...] = ("untargeted", "targeted")
SHADES = {"untargeted": "#f0f0f0", "targeted": "#fbe9ee"}  # grey and pink, as in the paper
COLOURS = ("#222222", "#8a8a8a", "#117733", "#0072b2", "#d55e00", "#e69f00", "#009e73", "#56b4e9", "#cc79a7", "#b8a9d9")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    dataset: Literal["mnist", "cifar10"] = "mnist"
    folder: Path | None = None
    """With the data set; the images bundled with the package are used for MNIST unless given."""
    networks: tuple[str, ...] = ("natural", "FGSM-trained", "PGD-trained")
    weights: Path = HERE.parent / "robust_nets" / "results"
    """The folder of their weights, DATASET-KIND.safetensors, as experiments/robust_nets makes them."""
    limit: int = 100
    """The first N images."""
    eps: float | None = None
    """The paper's for the data set unless given: 0.2 on MNIST, 8/255 on CIFAR-10."""
    steps: int = 100
    """Iterations of each solver."""
    budget: int = 1000
    """Passes an image of the ensemble."""
    peers: tuple[str, ...] = (
        "torchattacks:PGD?steps=100&alpha=STEP",
        "torchattacks:APGD?steps=100",
        "foolbox:LinfPGD?steps=100",
        "pyautoattack",
    )
    """Those without a targeted mode take part in the untargeted half only; STEP is a twentieth of eps."""
    batch_size: int = 50
    seed: int = 0
    runs: Path = Path("runs/figure3")
    out: Path = HERE / "results"
    json: bool = False
    """Print the results as one JSON object and nothing else."""

    @property
    def radius(self) -> float:
        """eps, or the paper's."""
        return self.eps or {"mnist": 0.2, "cifar10": 8 / 255}[self.dataset]

    @property
    def name(self) -> str:
        """Of the files."""
        return "figure3" if self.dataset == "mnist" else f"figure3-{self.dataset}"

    @property
    def images(self) -> str:
        """The spec of the images.

        Raises:
            UsageError: no folder is known for them.
        """
        if self.folder is None and self.dataset != "mnist":
            raise UsageError(f"{self.dataset} is not bundled; expected its folder, add --folder FOLDER")
        return "bundled:mnist" if self.folder is None else f"{self.dataset}:{self.folder}"


def networks(options: Options) -> dict[str, str]:
    """The specs of the networks by what they were trained on."""
    architecture = {"mnist": "mnist-cnn", "cifar10": "cifar-vgg-small"}[options.dataset]
    found = {}
    for name in options.networks:
        kind = name.removesuffix("-trained").lower()
        found[name] = f"{architecture}?weights={options.weights / f'{options.dataset}-{kind}.safetensors'}"
    if options.dataset == "mnist" and "natural" in found:
        found["natural"] = "bundled:mnist-clean"
    return found


def entrants(options: Options, goal: Goal) -> list[Entrant]:
    """All solvers, ADR-GD with its own settings for the goal, and the peers that have such a goal."""
    solvers: dict[str, Solver] = {
        "FGSM": FGSM(),
        "PGD": PGD(),
        "GraduatedADR": GraduatedADR(),
        "ADR-GD, paper": preset(f"paper-{options.dataset}-{goal}"),
    }
    found: list[Entrant] = [
        Own(name=name, attack=Attack(solver=solver, steps=options.steps, seed=options.seed, stop_at_success=False))
        for name, solver in solvers.items()
    ]
    untargeted_only = ("torchattacks:APGD", "torchattacks:AutoAttack", "pyautoattack")
    found.append(Own(name="standard", attack=Attack(solver=Standard(budget=options.budget), seed=options.seed)))
    peers = [name.replace("STEP", f"{options.radius / 20:g}") for name in options.peers]
    peers = [name for name in peers if goal == "untargeted" or not name.startswith(untargeted_only)]
    return found + [Peer.named(name, seed=options.seed) for name in peers]


def evaluate(options: Options, goal: Goal) -> dict[str, Any]:
    """One half of the figure."""
    images = load_data(options.images, limit=options.limit)
    models = {name: load_model(spec).module for name, spec in networks(options).items()}
    out = options.runs / options.dataset / goal
    data = options.dataset if options.folder else options.images  # a page says nothing of this machine's folders
    config = {"data": data, "limit": options.limit, "networks": networks(options)}
    taking_part = entrants(options, goal)
    with progress_bar() as bar:
        task = bar.add_task(goal, total=len(images) * len(models) * len(taking_part))
        return run_matrix(
            models, images, taking_part, out, eps=[options.radius], target="random" if goal == "targeted" else None,
            seed=options.seed, batch_size=options.batch_size, config=config, resume=out.exists(),
            advance=lambda what, count: bar.update(task, advance=count, description=what),
        )  # fmt: skip


def draw(summaries: dict[Goal, dict[str, Any]], path: Path) -> None:
    """Success rates above, mean losses below; untargeted on grey, targeted on pink."""
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "adrgd"
    attacks = list(dict.fromkeys(cell["attack"] for one in summaries.values() for cell in one["cells"]))
    colours = dict(zip(attacks, COLOURS, strict=False))
    figure = Figure(figsize=(5.2 * len(summaries), 5.6), layout="constrained")
    axes = figure.subplots(2, len(summaries), squeeze=False)
    for column, (goal, summary) in enumerate(summaries.items()):
        losses = "mean cross-entropy" if goal == "untargeted" else "mean log-probability of the target"
        _bars(axes[0][column], summary, "success_rate", colours)
        _bars(axes[1][column], summary, "mean_loss", colours)
        axes[0][column].set_title(f"{goal}, eps {summary['config']['eps'][0]:.3g}", fontsize=10)
        axes[0][column].set_ylabel("success rate")
        axes[0][column].set_ylim(0, 1.05)
        axes[1][column].set_ylabel(losses)
        for axis in axes[:, column]:
            axis.set_facecolor(SHADES[goal])
    handles = [axes[0][0].bar(0, 0, color=colour) for colour in colours.values()]
    figure.legend(
        handles, [name.partition("?")[0] for name in colours], loc="outside lower center", ncols=5, fontsize=8
    )
    figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(axis: Axes, summary: dict[str, Any], what: str, colours: dict[str, str]) -> None:
    models = summary["config"]["models"]
    names = [name for name in colours if any(cell["attack"] == name for cell in summary["cells"])]
    width = 0.85 / len(names)
    for k, name in enumerate(names):
        cells = [cell for cell in summary["cells"] if cell["attack"] == name]
        at = np.array([models.index(cell["model"]) for cell in cells]) + width * (k - (len(names) - 1) / 2)
        height = np.array([cell[what] for cell in cells])
        axis.bar(at, height, width * 0.92, color=colours[name])
        if what == "success_rate":
            low, high = np.array([cell["success_interval_95"] for cell in cells]).T
            axis.errorbar(at, height, [height - low, high - height], fmt="none", ecolor="#555555", linewidth=0.7)
    axis.set_xticks(range(len(models)), models)
    axis.spines[["top", "right"]].set_visible(False)


def page(summaries: dict[Goal, dict[str, Any]], options: Options) -> str:
    """Both evaluations as one page."""
    words = (
        f"Figure 3(a)-(b) on {options.dataset.upper()}, {options.limit} images, {options.steps} iterations of each "
        "solver, one thread. Perturbed images stay inside [0, 1]. The solvers and plain PGD go on after success; the "
        "ensemble, APGD and AutoAttack stop there, and the latter two return the clean image where they fail, so that "
        "their mean losses say less. Targets are other classes drawn at random."
    )
    parts = [
        markdown(summary).replace("# Evaluation", f"# {goal.capitalize()}", 1) for goal, summary in summaries.items()
    ]
    return "\n".join([f"{words}\n", *parts])


def main(options: Options) -> None:
    """Evaluate both goals, then write the figure and its tables."""
    torch.set_num_threads(1)
    summaries: dict[Goal, dict[str, Any]] = {goal: evaluate(options, goal) for goal in GOALS}
    options.out.mkdir(parents=True, exist_ok=True)
    kept: Sequence[str] = ("images", "cells", "unions", "failures")
    results = {goal: {name: summary[name] for name in kept} for goal, summary in summaries.items()}
    write_text(options.out / f"{options.name}.json", json.dumps(results, indent=1) + "\n")
    write_text(options.out / f"{options.name}.md", page(summaries, options))
    write_with(options.out / f"{options.name}.svg", partial(draw, summaries))
    print(json.dumps(results) if options.json else f"{options.out}/{options.name}.md")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
