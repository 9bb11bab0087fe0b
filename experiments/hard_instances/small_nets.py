"""Two small networks trained to resist, for lists of images that are hard to break; the first command takes minutes.

    python experiments/hard_instances/small_nets.py MNIST_FOLDER --kind mnist
    python experiments/hard_instances/small_nets.py CIFAR10_FOLDER --kind cifar10

MNIST_FOLDER holds the four IDX files, CIFAR10_FOLDER what `adrgd train --data cifar10:FOLDER` reads. Weights and facts
go to experiments/hard_instances/nets, the run itself to runs/hard_instances; stopped, the same command goes on. With
experiments/hard_instances on PYTHONPATH they load as 'small_nets:mnist?weights=FILE' and 'small_nets:cifar10?...'.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from torch import nn

from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.models.strided import strided_cnn
from adrgd.training import Training, train_and_keep
from adrgd.training.config import parts

HERE = Path(__file__).parent
KINDS: dict[str, dict[str, Any]] = {
    "mnist": {"eps": 0.3, "steps": 7, "epochs": 5, "warmup": 2.0, "limit": 30_000},
    "cifar10": {"eps": 2 / 255, "steps": 3, "epochs": 8, "limit": 20_000},
}


def mnist() -> nn.Module:
    """1568 + 784 + 64 neurons."""
    return strided_cnn((1, 28, 28), (8, 16), 64, nn.ReLU)


def cifar10() -> nn.Module:
    """2048 + 768 + 80 neurons."""
    return strided_cnn((3, 32, 32), (8, 12), 80, nn.ReLU)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which network."""

    folder: Annotated[Path, tyro.conf.Positional]
    kind: Literal["mnist", "cifar10"]
    runs: Path = Path("runs/hard_instances")
    out: Path = HERE / "nets"


def main(options: Options) -> None:
    """Train, then keep the weights and the facts."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(HERE))
    data, test = parts(f"{options.kind}:{options.folder}")
    training = Training(model=f"small_nets:{options.kind}", data=data, test=test, **KINDS[options.kind])
    with progress_bar() as bar:
        task = bar.add_task(options.kind, total=None)
        facts = train_and_keep(
            training, options.runs / options.kind, options.out / f"{options.kind}.safetensors",
            device="cpu", advance=lambda done, total, loss: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
