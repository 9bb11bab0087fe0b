"""The paper's CIFAR-10 network: train VGG19 on clean and on PGD's images, then attack both under both protocols.

    python experiments/figure3/vgg19.py CIFAR10_FOLDER --device cuda       # hours on a GPU; weeks on a processor
    python experiments/figure3/vgg19.py CIFAR10_FOLDER --smoke             # the same in small, on a processor: minutes

The settings are those of experiments/robust_nets/train.py. Stopped, the same command goes on.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

HERE = Path(__file__).parent
KINDS = ("natural", "pgd")
SMOKE_UPDATES, SMOKE_IMAGES = 20, 2


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where the data are, and on what to work."""

    folder: Annotated[Path, tyro.conf.Positional]
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""
    limit: int = 1000
    """The first N test images are attacked."""
    smoke: bool = False
    """Twenty updates of two images and attacks of two steps, into runs/vgg19-smoke."""
    runs: Path = Path("runs")


def commands(options: Options) -> list[list[str]]:
    """What is run, in order."""
    weights = HERE.parent / "robust_nets" / "results"
    train: list[str] = []
    attack = ["--limit", str(options.limit)]
    if options.smoke:
        out = options.runs / "vgg19-smoke"
        weights = out / "weights"
        images = ["--limit", str(SMOKE_UPDATES * SMOKE_IMAGES), "--batch-size", str(SMOKE_IMAGES), "--epochs", "1"]
        train = [*images, "--out", str(weights), "--runs", str(out / "training")]
        attack = ["--limit", "2", "--steps", "2", "--solvers", "pgd-fixed", "pgd", "adr-paper", "graduated"]
        attack += ["--out", str(out), "--runs", str(out / "attacks")]
    device = ["--device", options.device]
    script = [sys.executable, str(HERE.parent / "robust_nets" / "train.py"), str(options.folder)]
    trained = [[*script, "--kind", f"cifar10-vgg19-{kind}", *device, *train] for kind in KINDS]
    networks = [f"vgg19-{kind}" for kind in KINDS]
    attacked = [sys.executable, str(HERE / "protocols.py"), "--networks", *networks, "--cifar10", str(options.folder)]
    return [*trained, [*attacked, "--weights", str(weights), *device, *attack]]


def main(options: Options) -> None:
    """Run them, one after another."""
    for words in commands(options):
        print(" ".join(words), flush=True)
        if code := subprocess.run(words, check=False).returncode:
            raise SystemExit(code)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
