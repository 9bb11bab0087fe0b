"""Train the networks of section 6.1 again: MNIST from FGSM's and PGD's images, a CIFAR-10 VGG also from clean ones.

    python experiments/robust_nets/train.py MNIST_FOLDER --kind mnist-fgsm           # minutes on one core
    python experiments/robust_nets/train.py MNIST_FOLDER --kind mnist-pgd
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-pgd        # half an hour
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-fgsm
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-natural

MNIST_FOLDER holds the four IDX files, CIFAR10_FOLDER what `adrgd train --data cifar10:FOLDER` reads. Weights and facts
go to experiments/robust_nets/results, the run itself to runs/robust_nets; stopped, the same command goes on. Use them
as 'mnist-cnn?weights=FILE' and 'cifar-vgg-small?weights=FILE'.
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
CIFAR = {"model": "cifar-vgg-small", "eps": 8 / 255, "steps": 3, "epochs": 8}
KINDS: dict[str, dict[str, Any]] = {
    "mnist-fgsm": {"attack": "fgsm", "eps": 0.25, "steps": 5, "epochs": 3, "limit": 20_000},
    "mnist-pgd": {"attack": "pgd", "eps": 0.25, "steps": 5, "epochs": 3, "limit": 20_000},
    "cifar10-pgd": CIFAR | {"attack": "pgd"},
    "cifar10-fgsm": CIFAR | {"attack": "fgsm"},
    "cifar10-natural": CIFAR | {"attack": "none"},
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which network."""

    folder: Annotated[Path, tyro.conf.Positional]
    kind: Literal["mnist-fgsm", "mnist-pgd", "cifar10-pgd", "cifar10-fgsm", "cifar10-natural"]
    runs: Path = Path("runs/robust_nets")
    out: Path = HERE / "results"


def main(options: Options) -> None:
    """Train, then keep the weights and the facts."""
    torch.set_num_threads(1)
    data, test = parts(f"{options.kind.split('-')[0]}:{options.folder}")
    training = Training(data=data, test=test, **KINDS[options.kind])
    with progress_bar() as bar:
        task = bar.add_task(options.kind, total=None)
        facts = train_and_keep(
            training, options.runs / options.kind, options.out / f"{options.kind}.safetensors",
            advance=lambda done, total, loss: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
