"""adrgd train"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table

from adrgd.cli.options import cli, positive, usable_device
from adrgd.cli.progress import progress_bar
from adrgd.errors import UsageError
from adrgd.training.config import Training, parts
from adrgd.training.loop import train

DESCRIPTION = "Train a classifier on clean or adversarial images, into a folder that can be resumed."


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to train, and how."""

    data: str
    """mnist:FOLDER or cifar10:FOLDER (their training images), npz:FILE, folder:FOLDER, bundled:mnist."""
    test: str | None = None
    """Images to be judged by; the test images of --data, or --data itself where it has none."""
    model: str = "mnist-cnn"
    """mnist-cnn, cifar-vgg-small, cifar-vgg19, resnet50, wide-resnet50-2 or package.module:factory; with ?weights=FILE
    training starts from these, and ?mean=..&std=.. normalises."""
    attack: Literal["pgd", "fgsm", "graduated", "none"] = "pgd"
    """What finds the images to learn from; none for the clean ones."""
    eps: float
    """The largest change of a pixel, while training and in the final measurement."""
    steps: int = 10
    """Iterations of the attack."""
    epochs: int = 5
    """Times each image is met."""
    warmup: float = 1.0
    """Epochs over which eps grows from zero."""
    batch_size: int = 128
    """Images of an update."""
    rate: float = 2e-3
    """The largest step of Adam."""
    limit: int | None = None
    """The first N training images only."""
    test_limit: int = 1000
    """The first N test images only."""
    seed: int = 0
    """Of all randomness."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""
    threads: int | None = None
    """Processor threads of torch."""
    out: Path | None = None
    """Folder for the results; runs/TIME-MODEL-ATTACK unless given."""
    resume: bool = False
    """Go on with a run that was stopped."""
    json: bool = False
    """Print the summary as one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd train`."""
    options: Options = cli(Options, argv, prog="adrgd train", description=DESCRIPTION)
    if options.threads is not None:
        torch.set_num_threads(positive(options.threads, "threads"))
    if options.resume and options.out is None:
        raise UsageError("--resume needs the run's folder: add --out FOLDER")
    data, test = parts(options.data)
    training = Training(
        model=options.model, data=data, test=options.test or test, attack=options.attack, eps=options.eps,
        steps=positive(options.steps, "steps"), epochs=positive(options.epochs, "epochs"), warmup=options.warmup,
        batch_size=positive(options.batch_size, "batch-size"), rate=options.rate, seed=options.seed,
        limit=options.limit, test_limit=options.test_limit,
    )  # fmt: skip
    words = [time.strftime("%Y%m%d-%H%M%S"), options.model.partition("?")[0], options.attack]
    out = options.out or Path("runs") / "-".join("".join(c if c.isalnum() else "-" for c in word) for word in words)
    try:
        with progress_bar() as bar:
            task = bar.add_task("training", total=None)

            def advance(done: int, total: int, loss: float) -> None:
                bar.update(task, completed=done, total=total, description=f"loss {loss:.3f}")

            summary = train(training, out, device=usable_device(options.device), resume=options.resume, advance=advance)
    except KeyboardInterrupt:
        print(f"interrupted; go on with the same command and --resume --out {out}", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(summary))
    else:
        Console().print(_table(summary))
        Console().print(f"weights: {out}/model.safetensors", soft_wrap=True, highlight=False)
    return 0


def _table(summary: dict[str, Any]) -> Table:
    config = summary["config"]
    table = Table(title=f"{config['model']}, trained on {config['attack']} images, eps {config['eps']:g}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    rows = {
        "epochs": f"{summary['epochs']}",
        "mean loss of the last epoch": f"{summary['losses'][-1]:.4f}",
        "test images": f"{summary['test_images']}",
        "clean accuracy": f"{summary['clean_accuracy']:.4f}",
        "accuracy under PGD-20": f"{summary['robust_accuracy']:.4f}",
        "seconds": f"{summary['seconds']:.1f}",
        "seed": f"{config['seed']}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
