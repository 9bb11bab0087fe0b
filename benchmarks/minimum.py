"""The smallest change that breaks an image: ours against minimum-norm attacks of Foolbox, at the same passes.

    python benchmarks/minimum.py                                                   # the bundled robust network
    python benchmarks/minimum.py --nets FOLDER --mnist FOLDER --cifar10 FOLDER     # and three published ones

FOLDER of --nets as in standard.py. Everyone has --passes forward and backward passes an image and looks at the same
images in [0, 1]; what is found is judged and measured by us. Each line gives the median and the mean distance of the
images that were broken, how many were, and the median of the distance in units of the nearest that anyone found.
Results go to benchmarks/results/minimum.md and .json; what was finished is not run again unless --again is given.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foolbox
import torch
import tyro
from rich.progress import track
from standard_nets import cnn_a, robust_mnist, sri_resnet
from torch import Tensor, nn

from adrgd import load_data, load_model
from adrgd.attacks import Threat
from adrgd.attacks.minimum import Minimum, smallest_changes
from adrgd.data import Images
from adrgd.files import write_text

OURS = ("graduated", "pgd")
PEERS: dict[str, dict[str, Callable[[int], Any]]] = {
    "l2": {
        "DDN": lambda steps: foolbox.attacks.DDNAttack(steps=steps),
        "FMN": lambda steps: foolbox.attacks.L2FMNAttack(steps=steps),
    },
    "linf": {"FMN": lambda steps: foolbox.attacks.LInfFMNAttack(steps=steps)},
    "l1": {
        "FMN": lambda steps: foolbox.attacks.L1FMNAttack(steps=steps),
        "EAD": lambda steps: foolbox.attacks.EADAttack(binary_search_steps=5, steps=steps // 5, decision_rule="L1"),
    },
}
"""A step of each takes a forward and a backward pass."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    nets: Path | None = None
    mnist: Path | None = None
    """The folder of MNIST's four files."""
    cifar10: Path | None = None
    """The folder of cifar10.npz."""
    only: tuple[str, ...] = ()
    """Some of bundled, robust-mnist, cnn-a, sri-resnet; all for which there are files unless given."""
    norms: tuple[str, ...] = ("linf", "l2", "l1")
    limit: int = 100
    """Images, from the first on."""
    passes: int = 1000
    again: bool = False
    """Run what was finished before as well."""
    out: Path = Path(__file__).parent / "results"


def networks(options: Options) -> dict[str, Callable[[], tuple[nn.Module, Images]]]:
    """All for which there are files."""
    nets, count = options.nets, options.limit
    found: dict[str, Callable[[], tuple[nn.Module, Images]]] = {
        "bundled": lambda: (load_model("bundled:mnist-pgd").module, load_data("bundled:mnist", limit=count))
    }
    if nets and options.mnist:
        found["robust-mnist"] = lambda: (robust_mnist(nets), load_data(f"mnist:{options.mnist}", limit=count))
    if nets and options.cifar10:
        found["cnn-a"] = lambda: (cnn_a(nets), load_data(f"cifar10:{options.cifar10}", limit=count))
        found["sri-resnet"] = lambda: (sri_resnet(nets), load_data(f"cifar10:{options.cifar10}", limit=count))
    return {name: load for name, load in found.items() if not options.only or name in options.only}


def run(model: nn.Module, images: Images, norm: str, attack: str, passes: int) -> dict[str, Any]:
    """One attack on all images at once: each image's distance, infinite where it stands."""
    began = time.process_time()
    if attack in OURS:
        minimum = Minimum(norm=norm, solver=attack, passes=passes)  # type: ignore[arg-type]
        found = smallest_changes(model, images.images, images.labels, minimum).adversarial
    else:
        kind = foolbox.criteria.Misclassification(images.labels)
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, found, _ = PEERS[norm][attack](passes // 2)(wrapped, images.images, kind, epsilons=None)
    seconds = time.process_time() - began
    return {"distance": _distances(model, images, norm, found), "seconds": seconds}


def _distances(model: nn.Module, images: Images, norm: str, found: Tensor) -> list[float | None]:
    with torch.no_grad():
        broken = model(found).argmax(1) != images.labels
    inside = ((found >= 0) & (found <= 1)).flatten(1).all(1)
    sizes = Threat(norm=norm, eps=1).distance(found, images.images)  # type: ignore[arg-type]
    return [size if ok else None for size, ok in zip(sizes.tolist(), (broken & inside).tolist(), strict=True)]


def markdown(results: dict[str, dict[str, dict[str, Any]]], passes: int) -> str:
    """A line an attack."""
    lines = [
        "# The smallest change that breaks an image", "",
        f"{platform.machine()}, torch {torch.__version__}, one thread; {passes} passes an image for everyone. "
        "Excess: the median of an image's distance over the least that any line found, minus one.", "",
        "| network, norm | attack | found | median | mean | excess | seconds |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for place, runs in results.items():
        table = torch.tensor([[torch.inf if d is None else d for d in one["distance"]] for one in runs.values()])
        least = table.amin(0).clamp_min(1e-12)
        for (attack, one), row in zip(runs.items(), table, strict=True):
            finite = row[row.isfinite()]
            excess = (row.clamp_min(1e-12) / least)[least.isfinite()].median() - 1
            lines.append(
                f"| {place} | {attack} | {len(finite)} of {len(row)} | {row.median():.4g} | {finite.mean():.4g} | "
                f"{100 * excess:.1f} % | {one['seconds']:.1f} |"
            )
    return "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Run what is missing, and write the table after each attack."""
    torch.set_num_threads(1)
    file = options.out / "minimum.json"
    results: dict[str, dict[str, dict[str, Any]]] = json.loads(file.read_text()) if file.exists() else {}
    for name, load in networks(options).items():
        model, images = load()
        for norm in options.norms:
            place = f"{name}, {norm}"
            for attack in track((*OURS, *PEERS[norm]), place):
                if options.again or attack not in results.get(place, {}):
                    results.setdefault(place, {})[attack] = run(model, images, norm, attack, options.passes)
                    options.out.mkdir(parents=True, exist_ok=True)
                    write_text(file, json.dumps(results) + "\n")
                    write_text(options.out / "minimum.md", markdown(results, options.passes))
    print(markdown(results, options.passes))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
