"""Broken, certified, undecided: images of four adversarially trained networks, with a proof of each that stands.

    python benchmarks/certified.py --assets FOLDER --mnist FOLDER --cifar10 FOLDER
    python benchmarks/certified.py ... --only cnn_a --stop-after 300      # and again, until all are done
    python benchmarks/certified.py ... --summary                          # the table again

Each image is attacked first (graduated, 100 iterations, 5 runs), then proven for the seconds that are left of its own.
Images that are misclassified to begin with count as broken. A finished image is never repeated. Results go to
benchmarks/results/certified.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from standard_nets import cnn_a, robust_mnist, sri_resnet
from torch import nn

from adrgd import load_data, load_model
from adrgd.attacks import Attack, Certifier, Threat, attack_batch
from adrgd.files import write_text

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    assets: Path
    """Folder of published networks."""
    mnist: Path
    """Folder of MNIST."""
    cifar10: Path
    """Folder of CIFAR-10."""
    images: int = 100
    """First images of each test set."""
    seconds: float = 60.0
    """For each image, attack and proof together."""
    of_the_processor: bool = False
    """Count the processor's time instead, where the machine has other work: as if the process were alone."""
    only: str | None = None
    """One of the networks."""
    stop_after: float | None = None
    """Seconds after which no further image is begun."""
    work: Path = Path("runs/benchmark-certified")
    """Finished images."""
    summary: bool = False
    """Only write the table of what is finished."""


@dataclass(frozen=True)
class Setting:
    """A network, its images and a radius."""

    name: str
    words: str
    eps: float
    data: str
    load: Callable[[Path], nn.Module]


SETTINGS = (
    Setting("cnn_a", "CNN-A-adv4, CIFAR-10", 2 / 255, "cifar10", cnn_a),
    Setting("sri_resnet", "sri_resnet_a, CIFAR-10", 1 / 255, "cifar10", sri_resnet),
    Setting("sri_resnet_half", "sri_resnet_a, CIFAR-10", 0.5 / 255, "cifar10", sri_resnet),
    Setting("released", "the paper's MNIST network", 0.1, "mnist", robust_mnist),
    Setting("released_half", "the paper's MNIST network", 0.05, "mnist", robust_mnist),
    Setting("bundled", "bundled:mnist-pgd", 0.1, "mnist", lambda _: load_model("bundled:mnist-pgd").module),
)


def measure(setting: Setting, certifier: Certifier, image: torch.Tensor, label: int, seconds: float) -> dict[str, Any]:
    """One image."""
    began, processor = time.monotonic(), time.process_time()
    attack = Attack(threat=certifier.threat, steps=100, restarts=5)
    one = torch.tensor([label])
    broken = bool(attack_batch(certifier.model, image[None], one, attack, check=False).success)
    row: dict[str, Any] = {"verdict": "broken", "proven": 0.0, "nodes": 0, "reason": ""}
    if not broken:
        left = max(0.1, seconds - (time.monotonic() - began))
        found = certifier.certify(image, label, seconds=left)
        row = {"verdict": found.verdict, "proven": found.proven, "nodes": found.nodes, "reason": found.reason}
    return row | {"seconds": time.monotonic() - began, "processor": time.process_time() - processor}


def page(rows: dict[str, list[dict[str, Any]]], options: Options) -> str:
    """The result as Markdown."""
    lines = [
        "| network | radius | images | broken | certified | undecided | median s of certified | of the processor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        part = rows[setting.name]
        counts = [sum(row["verdict"] == word for row in part) for word in ("broken", "certified", "undecided")]
        safe = [row for row in part if row["verdict"] == "certified"]
        times = [
            f"{statistics.median(row[name] for row in safe):.1f}" if safe else "-" for name in ("seconds", "processor")
        ]
        cells = [setting.words, f"{setting.eps:.3g}", len(part), *counts, *times]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    of, flag = ("of the processor", " --of-the-processor") if options.of_the_processor else ("of wall time", "")
    return f"""# Broken, certified, undecided

`python benchmarks/certified.py --assets FOLDER --mnist FOLDER --cifar10 FOLDER --seconds {options.seconds:g}{flag}`

The first test images of each data set, {options.seconds:g} s {of} an image for attack and proof together, one
thread, on a machine of two processors that had other work to do as well. Where there are
fewer than {options.images}, the others were not tried yet.

{chr(10).join(lines)}
"""


def main(options: Options) -> None:
    """Measure what is missing, then write the table."""
    torch.set_num_threads(1)
    if options.of_the_processor:
        time.monotonic = time.process_time
    options.work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    rows: dict[str, list[dict[str, Any]]] = {}
    for setting in SETTINGS:
        files = [options.work / f"{setting.name}-{k:05d}.json" for k in range(options.images)]
        wanted = not options.summary and options.only in (None, setting.name)
        if wanted and not all(file.exists() for file in files):
            folder = options.cifar10 if setting.data == "cifar10" else options.mnist
            data = load_data(f"{setting.data}:{folder}", limit=options.images)
            certifier = Certifier(setting.load(options.assets), Threat(eps=setting.eps))
            for k, file in enumerate(files):
                if file.exists() or time.monotonic() - began > (options.stop_after or float("inf")):
                    continue
                row = measure(setting, certifier, data.images[k], int(data.labels[k]), options.seconds)
                write_text(file, json.dumps(row) + "\n")
                print(setting.name, k, row, flush=True)
        rows[setting.name] = [json.loads(file.read_text()) for file in files if file.exists()]
    text = page(rows, options)
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / "certified.md", text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
