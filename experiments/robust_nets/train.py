"""Train the MNIST networks of section 6.1 again, from FGSM's and from PGD's images, linf .25, in minutes on one core.

    python experiments/robust_nets/train.py MNIST_FOLDER --kind fgsm
    python experiments/robust_nets/train.py MNIST_FOLDER --kind pgd

MNIST_FOLDER holds the four IDX files. Weights and facts go to experiments/robust_nets/results, the run itself to
runs/robust_nets; stopped, the same command goes on. Use them as 'mnist-cnn?weights=FILE'.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.files import write_text, write_with
from adrgd.training import Training, train
from adrgd.training.config import parts

HERE = Path(__file__).parent
EPS, STEPS, EPOCHS, IMAGES = 0.25, 5, 3, 20_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which network."""

    folder: Annotated[Path, tyro.conf.Positional]
    kind: Literal["fgsm", "pgd"]
    runs: Path = Path("runs/robust_nets")
    out: Path = HERE / "results"


def main(options: Options) -> None:
    """Train, then keep the weights and the facts."""
    torch.set_num_threads(1)
    data, test = parts(f"mnist:{options.folder}")
    training = Training(
        data=data, test=test, attack=options.kind, eps=EPS, steps=STEPS, epochs=EPOCHS, limit=IMAGES, test_limit=1000
    )
    run = options.runs / options.kind
    with progress_bar() as bar:
        task = bar.add_task(options.kind, total=None)
        summary = train(
            training, run, resume=run.exists(),
            advance=lambda done, total, loss: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    config = {key: value for key, value in summary.pop("config").items() if key not in ("data", "test")}
    del summary["out"]
    options.out.mkdir(parents=True, exist_ok=True)
    weights = options.out / f"mnist-{options.kind}.safetensors"
    write_with(weights, partial(shutil.copyfile, run / "model.safetensors"))
    write_text(weights.with_suffix(".json"), json.dumps(summary | {"config": config}, indent=2) + "\n")
    print(weights.with_suffix(".json").read_text())


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
