"""Table 1(a): processor seconds an iteration of PGD, GraduatedADR and ADR-GD, on networks with random weights.

    python experiments/table1a/run.py
    python experiments/table1a/run.py --rows MNIST --repeat 1

One process, one thread; the solvers take turns and medians over the rounds are kept. Which layers are gated is chosen
so that the numbers of variables are the paper's: inputs plus gated neurons.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import platform
import sys
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro

from adrgd import Box, LinfBall, Misclassify, maximize
from adrgd.files import write_text
from adrgd.gates import count_neurons
from adrgd.models import new_model
from adrgd.solvers import ADRGD, PGD, GraduatedADR, GraduatedGates, Solver, preset

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "benchmarks"))
from turns import seconds_each  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network of the table.

    Attributes:
        model: its architecture.
        layers: which activation layers are gated.
        preset: ADR-GD's settings.
        eps: size of the ball.
        images: in a batch.
        steps: iterations of each run that is timed.
        paper: the paper's seconds an iteration, PGD and ADR-GD, and its number of variables.
    """

    model: str
    layers: str
    preset: str
    eps: float
    images: int
    steps: int
    paper: tuple[float, float, int]


ROWS = {
    "MNIST": Row(
        model="mnist-cnn", layers="all", preset="paper-mnist-untargeted", eps=0.2, images=32, steps=50,
        paper=(6.22e-4, 1.08e-2, 9_180),
    ),
    # two layers of 512 x 4 x 4 and two of 512 x 2 x 2: no run of last layers alone has the paper's 20,480 neurons
    "CIFAR10": Row(
        model="cifar-vgg19", layers="10,11,14,15", preset="paper-cifar10-untargeted", eps=8 / 255, images=8, steps=30,
        paper=(1.07e-3, 1.36e-2, 23_552),
    ),
    # the last bottleneck: 1024 x 7 x 7 twice and 2048 x 7 x 7
    "ImageNet": Row(
        model="wide-resnet50-2", layers="last:3", preset="paper-imagenet-untargeted", eps=2 / 255, images=1, steps=20,
        paper=(6.58e-3, 4.17e-2, 351_232),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    rows: tuple[str, ...] = tuple(ROWS)
    repeat: int = 5
    """Rounds."""
    out: Path = HERE / "results"
    json: bool = False
    """Print the results as one JSON object and nothing else."""


def solvers(row: Row) -> dict[str, Solver]:
    """The three columns."""
    adr: ADRGD = preset(row.preset)
    return {
        "PGD": PGD(),
        "GraduatedADR": GraduatedADR(gates=GraduatedGates(layers=row.layers)),
        "ADR-GD": replace(adr, gates=replace(adr.gates, layers=row.layers)),
    }


def measure(name: str, options: Options) -> dict[str, Any]:
    """Seconds an iteration and an image, ratios to PGD, and the number of variables."""
    row = ROWS[name]
    model = new_model(row.model)
    module = model.module.eval().requires_grad_(False)
    x = torch.rand(row.images, *(model.input_shape or ()), generator=torch.Generator().manual_seed(0))
    objective = Misclassify(module, torch.zeros(len(x), dtype=torch.int64))
    run = partial(
        maximize, objective, x, domain=LinfBall(x, row.eps, Box(0.0, 1.0)), stop_at_goal=False, check=False
    )  # fmt: skip
    run(solver=PGD(), steps=1)
    jobs = {key: partial(run, solver=solver, steps=row.steps) for key, solver in solvers(row).items()}
    spent = seconds_each(jobs, repeat=options.repeat, quiet=options.json, what=name)
    return {
        "network": name,
        "settings": asdict(row),
        "variables": x[0].numel() + count_neurons(module, x, row.layers),
        "repeat": options.repeat,
        "seconds": {key: value / row.steps / row.images for key, value in spent.items()},
        "ratio": {key: value / spent["PGD"] for key, value in spent.items()},
    }


def markdown(found: list[dict[str, Any]]) -> str:
    """The table."""
    head = ["network", "variables", "images, steps", *(f"{key}, s" for key in found[0]["seconds"])]
    head += ["GraduatedADR / PGD", "ADR-GD / PGD", "the paper's ADR-GD / PGD"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in found:
        settings, ratio = one["settings"], one["ratio"]
        pgd, adr, _ = settings["paper"]
        cells = [one["network"], f"{one['variables']:,}", f"{settings['images']}, {settings['steps']}"]
        cells += [f"{value:.2e}" for value in one["seconds"].values()]
        cells += [f"**{ratio['GraduatedADR']:.2f}**", f"**{ratio['ADR-GD']:.2f}**", f"{adr / pgd:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    what = (
        "Processor seconds an iteration and an image, medians over rounds in which the solvers take turns; the start "
        "of a run, which measures the norms for the first time, is shared out among its iterations. Random weights. "
        f"torch {torch.__version__}, {platform.machine()}, one thread; the paper's seconds are another machine's."
    )
    return f"# Table 1(a): the time of an iteration\n\n{what}\n\n" + "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Measure the rows asked for, and write the table of all that are known."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "table1a.json"
    known = {one["network"]: one for one in json.loads(file.read_text())} if file.exists() else {}
    for name in options.rows:
        known[name] = measure(name, options)
        found = [known[name] for name in ROWS if name in known]
        write_text(file, json.dumps(found, indent=2) + "\n")
        write_text(options.out / "table1a.md", markdown(found))
    print(json.dumps(found) if options.json else markdown(found))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
