"""Train the small networks with smooth activations that run.py attacks, each on images that an attack found.

    python experiments/activations/train.py MNIST_FOLDER --net mnist-convnext        # about ten minutes on one core
    python experiments/activations/train.py CIFAR10_FOLDER --net cifar-convnext      # about twenty

MNIST_FOLDER holds the four IDX files, CIFAR10_FOLDER what `adrgd train --data cifar10:FOLDER` reads. Weights and facts
go to experiments/activations/results, the run itself to runs/activations; stopped, the same command goes on. Use them
as 'NET?weights=FILE'; those of mnist-convnext were moved into the package, as bundled:mnist-convnext.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.training import Training, train_and_keep
from adrgd.training.config import parts

HERE = Path(__file__).parent
MNIST = {"attack": "pgd", "steps": 5, "eps": 0.3, "warmup": 1.5}
CIFAR = {"attack": "fgsm-rs", "steps": 1, "eps": 8 / 255}
TRAININGS: dict[str, dict[str, Any]] = {
    "mnist-convnext": MNIST | {"epochs": 3, "steps": 7},  # four steps were learnt by heart
    "mnist-vit": MNIST | {"epochs": 3},
    "mnist-wrn-silu": MNIST | {"epochs": 3},
    "mnist-elu": MNIST | {"epochs": 6, "steps": 4, "warmup": 2.0},
    "mnist-softplus": MNIST | {"epochs": 6, "steps": 4, "warmup": 2.0},
    "cifar-convnext": CIFAR | {"epochs": 6},
    "cifar-vit": CIFAR | {"epochs": 5},
    "cifar-wrn-silu": CIFAR | {"epochs": 3},
    "cifar-elu": CIFAR | {"epochs": 8},
}
Net = Literal[
    "mnist-convnext", "mnist-vit", "mnist-wrn-silu", "mnist-elu", "mnist-softplus",
    "cifar-convnext", "cifar-vit", "cifar-wrn-silu", "cifar-elu",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which network."""

    folder: Annotated[Path, tyro.conf.Positional]
    net: Net
    runs: Path = Path("runs/activations")
    out: Path = HERE / "results"


def training(net: str, folder: str) -> Training:
    """What is learnt by a network, from the data in a folder."""
    data, test = parts(f"{'mnist' if net.startswith('mnist') else 'cifar10'}:{folder}")
    return Training(model=net, data=data, test=test, **TRAININGS[net])


def main(options: Options) -> None:
    """Train, then keep the weights and the facts."""
    torch.set_num_threads(1)
    with progress_bar() as bar:
        task = bar.add_task(options.net, total=None)
        facts = train_and_keep(
            training(options.net, str(options.folder)), options.runs / options.net,
            options.out / f"{options.net}.safetensors",
            advance=lambda done, total, loss: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
