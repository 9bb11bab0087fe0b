"""Make a list of images that long, diversified PGD does not break and a search with a branch and bound does.

    python experiments/hard_instances/make_list.py NAME --model SPEC --data SPEC --eps 0.3

Three stages, each kept in lists/NAME.json as soon as an image is done, and not done again: many restarts of PGD on
three losses over the first images; `standard` with a large budget, half of it for the branch and bound, on those that
came near, the nearest first; proofs of those that still stand. The list are the images that the second stage broke, or
that a proof came upon.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.progress import track
from torch import Tensor, nn

from adrgd import load_data, load_model
from adrgd.attacks import Attack, Standard, Threat, attack_batch
from adrgd.attacks.certify import Certifier
from adrgd.data import Images
from adrgd.errors import AdrgdError
from adrgd.files import write_text
from adrgd.objective import margin
from adrgd.rows import take
from adrgd.solvers import PGD, Steepest

HERE = Path(__file__).parent
LOSSES = ("cross-entropy", "margin", "dlr")
FLOOR = 0.05  # of the logits' range, where the clean margin is less


@dataclass(frozen=True, kw_only=True)
class Options:
    """The network, and how much is spent on it."""

    name: Annotated[str, tyro.conf.Positional]
    model: str
    data: str
    eps: float
    among: int = 500
    """The first images of the data."""
    restarts: int = 20
    """Runs of PGD an image and loss, of `steps` iterations each."""
    steps: int = 100
    near: float = 0.15
    """How near an image must have come, as a share of its clean margin."""
    most: int = 24
    """Images for the second stage, the nearest ones."""
    budget: int = 200_000
    seeds: int = 2
    certify: float = 10.0
    """Seconds for a proof."""
    out: Path = HERE / "lists"


def main(options: Options) -> None:
    """Whatever is missing."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(HERE))
    net, images = load_model(options.model).module, load_data(options.data, limit=options.among)
    file = options.out / f"{options.name}.json"
    options.out.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    known |= {"eps": options.eps, "among": options.among, "pgd": [options.restarts, options.steps, *LOSSES]}
    known |= {"budget": options.budget, "seeds": options.seeds}
    if "near" not in known:
        known["near"] = _near(net, images, options)
        write_text(file, json.dumps(known, indent=1) + "\n")
    found = known.setdefault("found", {})
    certifier = Certifier(net, Threat(eps=options.eps))
    for index in track(known["near"][: options.most], "searching"):
        if str(index) in found:
            continue
        one = take(images, torch.tensor([index]))
        word = "undecided"
        for seed in range(options.seeds):
            solver = Standard(budget=options.budget, branch=0.5)
            result = attack_batch(
                net, one.images, one.labels, Attack(threat=Threat(eps=options.eps), solver=solver, seed=seed),
                index=one.index, check=False,
            )  # fmt: skip
            if result.success[0]:
                word = "broken"
                break
        if word == "undecided" and options.certify:
            word = certifier.certify(one.images[0], int(one.labels[0]), seconds=options.certify).verdict
        found[str(index)] = word
        known["list"] = sorted(int(index) for index, verdict in found.items() if verdict == "broken")
        write_text(file, json.dumps(known, indent=1) + "\n")
    words = list(found.values())
    print(", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)), known.get("list"))


def _near(net: nn.Module, images: Images, options: Options) -> list[int]:
    """The images that PGD leaves standing and that came near, the nearest first."""
    with torch.no_grad():
        clean = net(images.images)
    size = torch.maximum(-margin(clean, images.labels), FLOOR * (clean.amax(1) - clean.amin(1)))
    best = margin(clean, images.labels)
    for number, loss in enumerate(track(LOSSES, "PGD")):
        alive = (best < 0).nonzero()[:, 0]
        length = (0.1, 0.25, 0.5)[number]
        solver = PGD(random_start=True, step=Steepest(length=length, schedule="linear"))
        attack = Attack(
            threat=Threat(eps=options.eps), solver=solver, steps=options.steps, restarts=options.restarts, loss=loss,
            seed=number,
        )  # fmt: skip
        some = take(images, alive)
        result = attack_batch(net, some.images, some.labels, attack, index=some.index, check=False)
        with torch.no_grad():
            best[alive] = torch.maximum(best[alive], margin(net(result.adversarial), some.labels))
    share: Tensor = best / size
    order = share.argsort(descending=True)
    return [int(k) for k in order if -options.near <= float(share[k]) and best[k] < 0]


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
