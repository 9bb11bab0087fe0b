"""Make a list of images that long, diversified PGD does not break, and that something else does.

    python experiments/hard_instances/make_list.py NAME --mnist FOLDER --cifar10 FOLDER --assets FOLDER

Three stages over the first test images of a network of lists.py, each kept in lists/NAME.json as soon as some images
are done, and not done again. `standard` with a small budget tells which come near to falling: the others are left out.
Restarts of PGD on three losses run on those. What they leave standing, the nearest first, is handed to `standard` with
a large budget and all its last rungs, under seeds that run.py does not use, and then to a proof. The list are the
images that are broken so; images that are certified, and those that nothing decides, are named beside it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from lists import LISTS, SUBJECTS, Folders
from rich.progress import track
from torch import Tensor, nn

from adrgd.attacks import Attack, Standard, Threat, attack_batch
from adrgd.attacks.certify import Certifier
from adrgd.data import Images
from adrgd.errors import AdrgdError, UsageError
from adrgd.files import write_text
from adrgd.objective import margin
from adrgd.rows import take
from adrgd.solvers import PGD, Steepest

LOSSES = ("cross-entropy", "margin", "dlr")
LENGTHS = (0.1, 0.25, 0.5)  # of the first step, in radii, for each loss
FLOOR = 0.05  # of the logits' range, where the clean margin is less
PART = 50  # images at once
SEEDS = 1000  # that run.py does not use begin here


@dataclass(frozen=True, kw_only=True)
class Options(Folders):
    """The network, and how much is spent on it."""

    name: Annotated[str, tyro.conf.Positional]
    """mnist, cifar10 or cnn-a."""
    among: int = 500
    """The first images of the data."""
    restarts: int = 20
    """Runs of PGD an image and loss, of `steps` iterations each."""
    steps: int = 100
    near: float = 0.15
    """How near an image must have come, as a share of its clean margin."""
    look: int = 400
    """The budget that tells which images come near."""
    most: int = 40
    """Images for the second stage, the nearest ones."""
    budget: int = 100_000
    seeds: int = 2
    certify: float = 5.0
    """Seconds for a proof."""
    minutes: float | None = None
    """Begin nothing after so long; the same command goes on."""
    out: Path = LISTS


def main(options: Options) -> None:
    """Whatever is missing."""
    torch.set_num_threads(1)
    if options.name not in SUBJECTS or options.name == "hard_mnist":
        raise UsageError(f"expected mnist, cifar10 or cnn-a, found {options.name!r}; name one of them")
    began = time.monotonic()

    def late() -> bool:
        return options.minutes is not None and time.monotonic() - began > 60 * options.minutes

    subject = SUBJECTS[options.name]
    net, images = subject.load(options), subject.images(options, options.among)
    file = options.out / f"{options.name}.json"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    known |= {"eps": subject.eps, "among": options.among, "pgd": [options.restarts, options.steps, *LOSSES]}
    looked = known.setdefault("looked", {})
    for part in track(torch.arange(options.among).split(PART), "PGD"):
        if str(int(part[-1])) not in looked and not late():
            looked |= _looked(net, take(images, part), subject.eps, options)
            _keep(file, known)
    near = {int(index): one["share"] for index, one in looked.items() if one["word"] == "near"}
    found = known.setdefault("found", {})
    certifier = Certifier(net, Threat(eps=subject.eps))
    for index in track(sorted(near, key=lambda index: -near[index])[: options.most], "searching"):
        if str(index) in found or late():
            continue
        found[str(index)] = _word(net, take(images, torch.tensor([index])), certifier, options)
        _keep(file, known)
    words = [one["word"] for one in found.values()]
    print(", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)), known.get("list"))


def _keep(file: Path, known: dict[str, Any]) -> None:
    found = known.get("found", {})
    for word, name in (("broken", "list"), ("certified", "certified"), ("undecided", "undecided")):
        known[name] = sorted(int(index) for index, one in found.items() if one["word"] == word)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(known) + "\n")


def _word(net: nn.Module, one: Images, certifier: Certifier, options: Options) -> dict[str, Any]:
    """What is to be said of one image, who says it, and after how long."""
    began = time.process_time()
    word, by, ahead = "undecided", "", -float("inf")
    for seed in range(SEEDS, SEEDS + options.seeds):
        solver = Standard(budget=options.budget, flip=0.2, branch=0.2)
        result = attack_batch(
            net, one.images, one.labels, Attack(threat=certifier.threat, solver=solver, seed=seed), index=one.index,
            check=False,
        )  # fmt: skip
        with torch.no_grad():
            ahead = max(ahead, float(margin(net(result.adversarial), one.labels)))
        if result.success[0]:
            word, by = "broken", f"standard, seed {seed}"
        elif result.certified is not None and result.certified[0]:
            word, by = "certified", f"standard, seed {seed}"
        if by:
            break
    if word == "undecided" and options.certify:
        word = certifier.certify(one.images[0], int(one.labels[0]), seconds=options.certify).verdict
        by = "proof" if word != "undecided" else ""
    return {
        "word": word, "by": by, "margin": round(ahead, 5), "seconds": round(time.process_time() - began, 1),
        "budget": options.budget * options.seeds, "certify": options.certify,
    }  # fmt: skip


def _looked(net: nn.Module, images: Images, eps: float, options: Options) -> dict[str, Any]:
    """What is to be said of some images before the search: wrong, far, broken by PGD, or near, and how near."""
    with torch.no_grad():
        clean = net(images.images)
    best = margin(clean, images.labels)
    words = ["wrong" if wrong else "far" for wrong in (best > 0).tolist()]
    size = torch.maximum(-best, FLOOR * (clean.amax(1) - clean.amin(1)))

    def run(rows: Tensor, attack: Attack) -> None:
        if not len(rows):
            return
        some = take(images, rows)
        result = attack_batch(net, some.images, some.labels, attack, index=some.index, check=False)
        with torch.no_grad():
            best[rows] = torch.maximum(best[rows], margin(net(result.adversarial), some.labels))

    threat, right = Threat(eps=eps), (best <= 0).nonzero()[:, 0]
    run(right, Attack(threat=threat, solver=Standard(budget=options.look), seed=SEEDS))
    near = right[best[right] >= -options.near * size[right]]
    share = best / size
    best[near] = -torch.inf
    for number, (loss, length) in enumerate(zip(LOSSES, LENGTHS, strict=True)):
        step = Steepest(length=length, schedule="linear")
        run(near[best[near] <= 0], Attack(
            threat=threat, solver=PGD(random_start=True, step=step), steps=options.steps, restarts=options.restarts,
            loss=loss, seed=SEEDS + number,
        ))  # fmt: skip
    for row in near.tolist():
        words[row] = "near" if best[row] <= 0 else "pgd"
    return {
        str(int(index)): {"word": words[row], "share": round(float(share[row]), 4)}
        for row, index in enumerate(images.index)
    }


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
