"""Train the networks of section 6.1 again: MNIST from FGSM's and PGD's images, VGGs on CIFAR-10 also from clean ones.

    python experiments/robust_nets/train.py MNIST_FOLDER --kind mnist-fgsm           # minutes on one core
    python experiments/robust_nets/train.py MNIST_FOLDER --kind mnist-pgd
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-pgd        # half an hour
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-fgsm
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-natural
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-vgg11-natural      # ten minutes
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-vgg11-fgsm-rs      # ten minutes
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-vgg19-natural --device cuda
    python experiments/robust_nets/train.py CIFAR10_FOLDER --kind cifar10-vgg19-pgd --device cuda

MNIST_FOLDER holds the four IDX files, CIFAR10_FOLDER what `adrgd train --data cifar10:FOLDER` reads. Weights and facts
go to experiments/robust_nets/results, the run itself to runs/robust_nets; stopped, the same command goes on. Use them
as 'mnist-cnn?weights=FILE', 'cifar-vgg-small?weights=FILE', and so on.
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
from adrgd.errors import AdrgdError, UsageError
from adrgd.training import Training, train_and_keep
from adrgd.training.config import parts

HERE = Path(__file__).parent
CIFAR = {"model": "cifar-vgg-small", "eps": 8 / 255, "steps": 3, "epochs": 8}
VGG = {"eps": 8 / 255, "augment": "shift-and-mirror"}
VGG11 = VGG | {"model": "cifar-vgg11-quarter"}
VGG19 = VGG | {"model": "cifar-vgg19", "steps": 10, "epochs": 100, "rate": 1e-3}
KINDS: dict[str, dict[str, Any]] = {
    "mnist-fgsm": {"attack": "fgsm", "eps": 0.25, "steps": 5, "epochs": 3, "limit": 20_000},
    "mnist-pgd": {"attack": "pgd", "eps": 0.25, "steps": 5, "epochs": 3, "limit": 20_000},
    "cifar10-pgd": CIFAR | {"attack": "pgd"},
    "cifar10-fgsm": CIFAR | {"attack": "fgsm"},
    "cifar10-natural": CIFAR | {"attack": "none"},
    "cifar10-vgg11-natural": VGG11 | {"attack": "none", "epochs": 8},
    "cifar10-vgg11-fgsm-rs": VGG11 | {"attack": "fgsm-rs", "steps": 1, "epochs": 3},
    "cifar10-vgg19-natural": VGG19 | {"attack": "none"},
    "cifar10-vgg19-pgd": VGG19 | {"attack": "pgd", "warmup": 5.0},
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which network."""

    folder: Annotated[Path, tyro.conf.Positional]
    kind: Literal[
        "mnist-fgsm", "mnist-pgd", "cifar10-pgd", "cifar10-fgsm", "cifar10-natural", "cifar10-vgg11-natural",
        "cifar10-vgg11-fgsm-rs", "cifar10-vgg19-natural", "cifar10-vgg19-pgd",
    ]  # fmt: skip
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""
    epochs: int | None = None
    """Other than the kind's own; likewise the next two. What is made then is something else: give another --out."""
    limit: int | None = None
    batch_size: int | None = None
    runs: Path = Path("runs/robust_nets")
    out: Path = HERE / "results"


def main(options: Options) -> None:
    """Train, then keep the weights and the facts."""
    torch.set_num_threads(1)
    data, test = parts(f"{options.kind.split('-')[0]}:{options.folder}")
    given = {name: getattr(options, name) for name in ("epochs", "limit", "batch_size")}
    changed = {name: value for name, value in given.items() if value is not None}
    if changed and options.out == HERE / "results":
        raise UsageError(f"other settings ({', '.join(changed)}) make another network; expected a folder for it: --out")
    if options.limit is not None:
        changed["test_limit"] = options.limit
    training = Training(data=data, test=test, **KINDS[options.kind] | changed)
    with progress_bar() as bar:
        task = bar.add_task(options.kind, total=None)
        facts = train_and_keep(
            training, options.runs / options.kind, options.out / f"{options.kind}.safetensors",
            device=options.device,
            advance=lambda done, total, loss: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
