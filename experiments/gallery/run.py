"""Figures 6 to 8: clean images, what each solver adds to them, and the adversarial images themselves.

    python experiments/gallery/run.py                                         # the bundled robust MNIST network
    python experiments/gallery/run.py --name mnist-ball --box none            # the paper's protocol
    python experiments/gallery/run.py --name cifar10 --model 'NET.onnx?mean=..&std=..' --data cifar10:FOLDER --eps .0314
    python experiments/gallery/run.py --name imagenet --model timm:NAME --data folder:FOLDER?size=224 --eps .0039

Shows the first images that are classified rightly, and that at least one solver breaks.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import tyro
from matplotlib.figure import Figure
from torch import Tensor

from adrgd.attacks import Attack, AttackResult, Threat, attack_batch
from adrgd.attacks.threat import of_box
from adrgd.data import Images, load_data
from adrgd.errors import DataError
from adrgd.files import write_text, write_with
from adrgd.models import load_model
from adrgd.names import BoxName
from adrgd.page import picture
from adrgd.solvers import make_solver

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to show."""

    name: str = "mnist"
    """Of the files."""
    model: str = "bundled:mnist-pgd"
    data: str = "bundled:mnist"
    eps: float = 0.3
    box: BoxName = "data"
    """data: images stay in [0, 1]; none: the ball alone bounds them, as in the paper. What leaves [0, 1] is drawn as
    black or white."""
    solvers: tuple[str, ...] = ("fgsm", "pgd", "adr", "graduated")
    steps: int = 100
    among: int = 60
    """The first N images are attacked."""
    rows: int = 6
    """Images shown."""
    seed: int = 0
    out: Path = HERE / "results"


def attack(options: Options, images: Images) -> dict[str, AttackResult]:
    """The results of every solver on all images."""
    model = load_model(options.model).module
    threat = Threat(eps=options.eps, **of_box({"box": options.box}))
    return {
        name: attack_batch(
            model, images.images, images.labels,
            Attack(threat=threat, solver=make_solver(name), steps=options.steps, seed=options.seed),
        )
        for name in options.solvers
    }  # fmt: skip


def choose(found: dict[str, AttackResult], count: int) -> list[int]:
    """The first images that were right before, and that some solver breaks.

    Raises:
        DataError: there are none.
    """
    broken = torch.stack([one.success & (one.clean_prediction == one.label) for one in found.values()]).any(0)
    if not broken.any():
        raise DataError("expected an image that some solver breaks, found none; raise --eps or --among")
    return [int(k) for k in broken.nonzero()[:count, 0]]


def draw(options: Options, images: Images, found: dict[str, AttackResult], chosen: list[int], path: Path) -> None:
    """A row an image: clean, then perturbation and adversarial image of each solver; broken ones in red."""
    columns = 1 + 2 * len(found)
    figure = Figure(figsize=(1.15 * columns, 1.32 * len(chosen)), layout="constrained")
    axes = figure.subplots(len(chosen), columns, squeeze=False)
    for row, k in zip(axes, chosen, strict=True):
        clean = images.images[k]
        label = int(images.labels[k])
        _show(row[0], clean, f"label {_name(images, label)}", broken=False)
        for place, one in enumerate(found.values()):
            change = one.adversarial[k] - clean
            _show(row[1 + 2 * place], 0.5 + change / (2 * options.eps), f"{float(one.distance[k]):.4g}", broken=False)
            after = int(one.adversarial_prediction[k])
            _show(row[2 + 2 * place], one.adversarial[k], _name(images, after), broken=after != label)
    for place, name in enumerate(found):
        axes[0][2 + 2 * place].set_title(name, fontsize=9)
    axes[0][0].set_title("clean", fontsize=9)
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def _show(axis: object, image: Tensor, words: str, *, broken: bool) -> None:
    axis.imshow(picture(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")  # type: ignore[attr-defined]
    axis.set_xticks([])  # type: ignore[attr-defined]
    axis.set_yticks([])  # type: ignore[attr-defined]
    axis.set_xlabel(words, fontsize=8, color="#b3362b" if broken else "#1c2530", labelpad=2)  # type: ignore[attr-defined]


def _name(images: Images, label: int) -> str:
    return str(label) if images.names is None else images.names[label]


def main(options: Options) -> None:
    """Attack, choose, draw, and write down what is shown."""
    torch.set_num_threads(1)
    images = load_data(options.data, limit=options.among)
    found = attack(options, images)
    chosen = choose(found, options.rows)
    options.out.mkdir(parents=True, exist_ok=True)
    write_with(options.out / f"{options.name}.png", partial(draw, options, images, found, chosen))
    facts = {
        "eps": options.eps, "box": options.box, "steps": options.steps, "seed": options.seed, "images": len(images),
        "shown": [int(images.index[k]) for k in chosen],
        "broken": {name: int(one.success.sum()) for name, one in found.items()},
    }  # fmt: skip
    write_text(options.out / f"{options.name}.json", json.dumps(facts, indent=1) + "\n")
    print(f"{options.out}/{options.name}.png")


if __name__ == "__main__":
    main(tyro.cli(Options))
