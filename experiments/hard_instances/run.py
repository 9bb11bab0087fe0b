"""Images that are hard to break: what `standard` breaks by budget, with each rung for near misses alone and together.

    python experiments/hard_instances/run.py --assets FOLDER --mnist FOLDER --cifar10 FOLDER       # an hour

`FOLDER/hard_mnist` holds MadryCNN_no_maxpool_tiny.pt and mip_unsafe_idx.txt of Verified-Intelligence/alpha-beta-CROWN:
20 test images that 200 x 200 steps of PGD do not break and a MIP does; `FOLDER/cifar10` holds its
cifar_cnn_a_adv4.model. The other two lists are made here: of the first images, those that a budget of 1000 leaves
standing within a tenth of the clean margin or of a twentieth of the logits' range. Whether those can be broken at all
is not known: what stands at the end is handed to the certifier. Every line is kept in results/lines.json as soon as it
is done, and not done again.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.progress import track
from torch import Tensor, nn

from adrgd import load_data
from adrgd.attacks import Attack, AttackResult, Standard, Threat, attack_batch
from adrgd.attacks.certify import Certifier
from adrgd.errors import AdrgdError
from adrgd.files import write_text, write_with
from adrgd.objective import margin
from adrgd.solvers import PGD, Steepest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "benchmarks"))
from standard_nets import hard_mnist, published  # noqa: E402

NEAR = 0.1  # of the clean margin, or of `FLOOR` of the logits' range: how near an image of a list came
FLOOR = 0.05


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    assets: Path
    """The folder of the published networks."""
    mnist: Path
    """The folder of MNIST's four files."""
    cifar10: Path
    """The folder of cifar10.npz."""
    budgets: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000, 300_000)
    seeds: int = 3
    rungs: tuple[str, ...] = ()
    """Some of `RUNGS`; all unless given."""
    among: int = 600
    """The first test images, of which lists are made."""
    certify: float = 10.0
    """Seconds for the proof of an image that no run broke; 0 for none."""
    only: tuple[str, ...] = ()
    """Lists whose names begin with one of these; all unless given."""
    out: Path = HERE / "results"


@dataclass(frozen=True)
class List:
    """Some images of one network."""

    name: str
    net: nn.Module
    images: Tensor
    labels: Tensor
    eps: float

    def attack(self, budget: int, seed: int, rung: str = "neither") -> AttackResult:
        """Run the ensemble with a rung, or many restarts of PGD."""
        threat = Threat(eps=self.eps)
        if rung == "pgd":
            solver = PGD(random_start=True, step=Steepest(length=0.25, schedule="linear"))
            restarts = budget // 200
            attack = Attack(threat=threat, solver=solver, steps=100, restarts=restarts, loss="margin", seed=seed)
        else:
            shares = {"walk": 0.0, "branch": 0.0} | RUNGS[rung]
            attack = Attack(threat=threat, solver=Standard(budget=budget, **shares), seed=seed)
        return attack_batch(self.net, self.images, self.labels, attack)


def lists(options: Options) -> dict[str, Callable[[], List]]:
    """The published one, then those that are made: how each is had."""

    def published_one(name: str) -> List:
        net, hard = hard_mnist(options.assets, options.mnist)
        return List(name, net, hard.images, hard.labels, 0.3)

    def tiny(name: str) -> List:
        net, _ = hard_mnist(options.assets, options.mnist)
        some = load_data(f"mnist:{options.mnist}", limit=options.among)
        return near(List(name, net, some.images, some.labels, 0.3))

    def cnn_a(name: str) -> List:
        net, some = published("cnn-a", options.assets, options.cifar10, options.among)
        return near(List(name, net, some.images, some.labels, 2 / 255))

    found: dict[str, Callable[[], List]] = {
        name: partial(make, name)
        for name, make in (
            (PUBLISHED, published_one), ("tiny MNIST net, near misses, eps .3", tiny),
            ("CNN-A-adv4, near misses, eps 2/255", cnn_a),
        )
    }  # fmt: skip
    return {name: make for name, make in found.items() if not options.only or name.startswith(options.only)}


def near(whole: List) -> List:
    """Those that a budget of 1000 leaves standing, near to falling."""
    found = whole.attack(1000, 0)
    with torch.no_grad():
        clean, after = whole.net(whole.images), whole.net(found.adversarial)
    size = torch.maximum(-margin(clean, whole.labels), FLOOR * (clean.amax(1) - clean.amin(1)))
    keep = ~found.success & (margin(after, whole.labels) >= -NEAR * size)
    return List(whole.name, whole.net, whole.images[keep], whole.labels[keep], whole.eps)


PUBLISHED = "hard_mnist, eps .3"
PEERS = HERE.parent.parent / "benchmarks" / "results" / "standard.json"
RUNGS: dict[str, dict[str, float]] = {
    "pgd": {}, "neither": {}, "walk": {"walk": 0.1}, "branch": {"branch": 0.3}, "program": {"program": 0.3},
    "both": {"walk": 0.1, "branch": 0.3},
}  # fmt: skip
"""Shares of the budget for walks, for a branch and bound, for mixed-integer programs."""
WORDS = {
    "pgd": "PGD, a run from a random point for each 200 passes", "neither": "graduated runs alone",
    "walk": "with walks", "branch": "with branch and bound", "program": "with mixed-integer programs",
    "both": "with walks, branch and bound",
}  # fmt: skip
LEAST = {"pgd": 200, "neither": 0, "walk": 2000, "branch": 20_000, "program": 20_000, "both": 20_000}
"""Budgets below which there is none."""


def ways(options: Options) -> Iterator[tuple[int, str]]:
    """Budgets, and what is added to the graduated runs."""
    for budget in options.budgets:
        for rung in RUNGS:
            if budget >= LEAST[rung] and (not options.rungs or rung in options.rungs):
                yield budget, rung


def measure(options: Options, one: List, lines: dict[str, Any]) -> None:
    """All lines of a list that are missing."""
    for budget, rung in track(list(ways(options)), one.name):
        key = f"{one.name} | {budget} | {rung}"
        line = lines.get(key, {"list": one.name, "budget": budget, "rung": rung, "broken": [], "seconds": 0.0})
        line["images"] = len(one.labels)
        for seed in range(len(line["broken"]), options.seeds):
            started = time.process_time()
            result = one.attack(budget, seed, rung)
            spent = (time.process_time() - started) / max(1, len(one.labels))
            line["seconds"] = (line["seconds"] * seed + spent) / (seed + 1)
            line["broken"].append(result.success.nonzero()[:, 0].tolist())
            if result.certified is not None:
                line.setdefault("certified", []).append(result.certified.nonzero()[:, 0].tolist())
            lines[key] = line
            keep(options, lines)
    key = f"{one.name} | certified"
    if key not in lines and options.certify:
        ever = {at for line in lines.values() if line["list"] == one.name for seed in line["broken"] for at in seed}
        certifier = Certifier(one.net, Threat(eps=one.eps))
        verdicts = {
            at: certifier.certify(one.images[at], int(one.labels[at]), seconds=options.certify).verdict
            for at in track(range(len(one.labels)), f"{one.name}, proofs")
            if at not in ever
        }
        lines[key] = {"list": one.name, "broken": [sorted(ever)], "verdicts": verdicts, "images": len(one.labels)}
        keep(options, lines)


def keep(options: Options, lines: dict[str, Any]) -> None:
    """Write what is known."""
    write_text(options.out / "lines.json", json.dumps(lines, indent=1) + "\n")
    write_text(options.out / "README.md", page(lines))


def draw(options: Options, lines: dict[str, Any]) -> None:
    """The share of the published list that is broken, over the processor's seconds."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "hard instances"
    mine = [line for line in lines.values() if line["list"] == PUBLISHED and line.get("broken") and "budget" in line]
    figure, axes = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
    for rung in RUNGS:
        runs = sorted((line for line in mine if line["rung"] == rung), key=lambda line: line["seconds"])
        if not runs:
            continue
        means = [sum(map(len, line["broken"])) / len(line["broken"]) for line in runs]
        axes.plot([line["seconds"] for line in runs], means, "o-", label=WORDS[rung], markersize=4)
    axes.set(xscale="log", xlabel="processor seconds an image", ylabel=f"broken, of {mine[0]['images']}")
    axes.legend(fontsize=7)
    write_with(options.out / "broken.svg", partial(figure.savefig, format="svg", metadata={"Date": None}))
    plt.close(figure)


def page(lines: dict[str, Any]) -> str:
    """A table a list."""
    out = ["# Images that are hard to break", ""]
    out += ["Broken by `standard`, by seed; seconds are processor seconds an image on one thread.", ""]
    for name in dict.fromkeys(line["list"] for line in lines.values()):
        mine = [line for line in lines.values() if line["list"] == name]
        out += [f"## {name}: {mine[0]['images']} images", ""]
        runs = [line for line in mine if "budget" in line]
        rungs = [rung for rung in RUNGS if any(line["rung"] == rung for line in runs)]
        out += ["| budget | " + " | ".join(f"{WORDS[rung]} | seconds" for rung in rungs) + " |"]
        out += ["|---" * (1 + 2 * len(rungs)) + "|"]
        for budget in sorted({line["budget"] for line in runs}):
            cells = []
            for rung in rungs:
                found = [line for line in runs if (line["budget"], line["rung"]) == (budget, rung)]
                cells.append(", ".join(str(len(seed)) for seed in found[0]["broken"]) if found else "-")
                cells.append(f"{found[0]['seconds']:.2f}" if found else "-")
            out.append(f"| {budget:,} | {' | '.join(cells)} |")
        if name == PUBLISHED:
            out += ["", *peers()]
        for line in mine:
            if "verdicts" in line:
                verdicts = list(line["verdicts"].values())
                words = ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts)) or "none"
                out += ["", f"Broken by some run: {len(line['broken'][0])}. The others, by proof: {words}."]
        out.append("")
    return "\n".join(out)


def peers() -> list[str]:
    """What `benchmarks/standard.py` has measured of others on the published list."""
    found = json.loads(PEERS.read_text()) if PEERS.exists() else {}
    runs = next((runs for words, runs in found.items() if "only a MIP" in words), {})
    return [
        f"`{key.rpartition(' ')[0]}` (benchmarks/standard.py): {one['broken']} broken, "
        f"{one['processor_seconds'] / one['images']:.2f} processor seconds an image, two threads.  "
        for key, one in runs.items()
        if not key.startswith("standard")
    ]


def main(options: Options) -> None:
    """Everything that is missing."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "lines.json"
    lines: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for make in lists(options).values():
        measure(options, make(), lines)
    draw(options, lines)
    print(page(lines))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
