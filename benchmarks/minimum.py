"""The smallest change that breaks an image: ours against minimum-norm attacks of other libraries, at the same passes.

    python benchmarks/minimum.py                                                   # the bundled robust network
    python benchmarks/minimum.py --nets FOLDER --mnist FOLDER --cifar10 FOLDER     # and three published ones
    python benchmarks/minimum.py --norms l2 --limit 50 --minutes 5                 # some of it, five minutes at a time

FOLDER of --nets as in standard.py. Everyone has --passes forward and backward passes an image and looks at the same
images in [0, 1]; what is found is judged and measured by us. In l0 numbers are counted, not pixels, since that is what
the peers minimise. Each line gives the median and the mean distance of the images that were broken, how many were, by
how much an image's distance exceeds the nearest that anyone found, and AttackBench's optimality (Cinà et al. 2025): the
area above a line's curve of robust accuracy over eps, up to the eps at which the nearest of all lines break everything,
as a share of the area above the curve of these nearest. Results go to benchmarks/results/minimum.md and
.json after every 25 images; what was finished is not run again unless --again is given.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from minimum_peers import PEERS, quietly
from rich.progress import track
from standard_nets import published
from torch import Tensor, nn

from adrgd import load_data, load_model
from adrgd.attacks.smallest.minimum import Minimum, smallest_changes
from adrgd.data import Images
from adrgd.domain import distance
from adrgd.files import write_text
from adrgd.names import Norm
from adrgd.rows import take

OURS = ("graduated", "pgd")
PIECE = 25  # images at once


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
    norms: tuple[Norm, ...] = ("linf", "l2", "l1", "l0")
    limit: int = 100
    """Images, from the first on."""
    passes: int = 1000
    attacks: tuple[str, ...] = ()
    """Some of the lines, ours or peers', by name; all unless given."""
    minutes: float | None = None
    """Begin no piece after so long."""
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
        found["robust-mnist"] = partial(published, "robust-mnist", nets, options.mnist, count)
    if nets and options.cifar10:
        for name in ("cnn-a", "sri-resnet"):
            found[name] = partial(published, name, nets, options.cifar10, count)
    return {name: load for name, load in found.items() if not options.only or name in options.only}


class Flat(nn.Module):
    """A network of images, asked with their numbers in one row, so that numbers are counted and not pixels."""

    def __init__(self, network: nn.Module, shape: torch.Size) -> None:
        super().__init__()
        self.network, self.shape = network, shape

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x.reshape(len(x), *self.shape))
        return logits


def run(model: nn.Module, images: Images, norm: Norm, attack: str, passes: int) -> dict[str, Any]:
    """One attack on some images: each one's distance, None where it stands."""
    began = time.process_time()
    x, labels = images.images, images.labels
    if norm == "l0" and attack in OURS:
        model, x = Flat(model, x.shape[1:]).eval(), x.flatten(1)
    if attack in OURS:
        minimum = Minimum(norm=norm, solver=attack, passes=passes)  # type: ignore[arg-type]
        found = smallest_changes(model, x, labels, minimum, index=images.index).adversarial
    else:
        found = quietly(PEERS[norm][attack])(model, x, labels, passes)
    seconds = time.process_time() - began
    with torch.no_grad():
        broken = model(found).argmax(1) != labels
    inside = ((found >= 0) & (found <= 1)).flatten(1).all(1)
    sizes = distance(norm, found.flatten(1), x.flatten(1))
    return {
        "distance": [size if ok else None for size, ok in zip(sizes.tolist(), (broken & inside).tolist(), strict=True)],
        "seconds": seconds,
    }  # fmt: skip


def piece(kept: dict[str, Any], images: Images, count: int) -> Images | None:
    """The images that come next, if there are some."""
    done = len(kept["distance"])
    return take(images, torch.arange(done, min(done + PIECE, count))) if done < count else None


def markdown(results: dict[str, dict[str, dict[str, Any]]], passes: int) -> str:
    """A line an attack, over the images that all attacks of a place have looked at."""
    lines = [
        "# The smallest change that breaks an image", "",
        f"{platform.machine()}, torch {torch.__version__}, one thread; {passes} passes an image for everyone. Median "
        "and mean of the distance, the mean of what was found. Excess: by how much a distance exceeds the least "
        "that any line found, median and mean; images that a line did not break are left out of its mean. "
        "Area: under robust accuracy over eps, up to where the nearest that all lines found break every image; "
        "optimality: how much of what there was to take away from it a line took.", "",
        "| network, norm | attack | found | median | mean | excess, median | mean | area | optimality | "
        "seconds an image |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for place, runs in results.items():
        runs = {attack: runs[attack] for attack in sorted(runs, key=_place) if runs[attack]["distance"]}
        count = min((len(one["distance"]) for one in runs.values()), default=0)
        table = torch.tensor(
            [[torch.inf if d is None else d for d in one["distance"][:count]] for one in runs.values()]
        )
        least = table.amin(0)
        shared = least.isfinite() & (least > 0)
        for (attack, one), row in zip(runs.items(), table, strict=True):
            finite = row[row.isfinite()]
            excess = (row / least)[shared] - 1
            lines.append(
                f"| {place} | {attack} | {len(finite)} of {count} | {row.median():.4g} | {finite.mean():.4g} | "
                f"{100 * excess.median():.1f} % | {100 * excess[excess.isfinite()].mean():.1f} % | "
                f"{area(row, least):.4g} | {optimality(row, least):.3f} | "
                + (f"{one['seconds'] / len(one['distance']):.2f} |" if one["seconds"] else "- |")
            )
    return "\n".join(lines) + "\n"


def _place(attack: str) -> int:
    """Of a line among those of its network and norm."""
    names = [*OURS, *dict.fromkeys(name for peers in PEERS.values() for name in peers)]
    return names.index(attack)


def area(row: Tensor, least: Tensor) -> float:
    """Under the curve of robust accuracy over eps of distances (N,), up to the largest of the least ones."""
    return float(row.minimum(most(least)).mean())


def optimality(row: Tensor, least: Tensor) -> float:
    """The share of what robust accuracy can lose, by the least distances known, that an attack takes (0 to 1)."""
    clean = float(most(least)) * float((least > 0).double().mean())
    possible = clean - area(least, least)
    return (clean - area(row, least)) / possible if possible > 0 else 1.0


def most(least: Tensor) -> Tensor:
    """The radius within which all images that anyone broke are broken."""
    return least[least.isfinite()].amax()


def main(options: Options) -> None:
    """Run what is missing, and write the table after each piece."""
    torch.set_num_threads(1)
    began, file = time.monotonic(), options.out / "minimum.json"
    results: dict[str, dict[str, dict[str, Any]]] = {}
    if file.exists() and not options.again:
        results = json.loads(file.read_text())
    for name, load in networks(options).items():
        model, images = load()
        for norm in options.norms:
            place = results.setdefault(f"{name}, {norm}", {})
            attacks = [one for one in (*OURS, *PEERS[norm]) if one in (options.attacks or (*OURS, *PEERS[norm]))]
            for attack in track(attacks, f"{name}, {norm}"):
                kept = place.setdefault(attack, {"distance": [], "seconds": 0.0})
                while (part := piece(kept, images, options.limit)) is not None:
                    if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
                        return
                    found = run(model, part, norm, attack, options.passes)
                    kept["distance"] += found["distance"]
                    kept["seconds"] += found["seconds"]
                    options.out.mkdir(parents=True, exist_ok=True)
                    write_text(file, json.dumps(results) + "\n")
                    write_text(options.out / "minimum.md", markdown(results, options.passes))
    print(markdown(results, options.passes))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
