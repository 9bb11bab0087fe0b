"""Images that are hard to break: how many of each list are broken after how long, by what.

    python experiments/hard_instances/run.py --assets FOLDER --mnist FOLDER --cifar10 FOLDER       # hours

The lists are of lists.py: images that many runs of diversified PGD do not break and something else does. Every image is
attacked on its own, on one thread, for at most --seconds of the processor: `standard` with a budget that takes about
that long, with each of its last rungs alone and with three of them; and, over and over under new seeds until the time
is up, diversified PGD and AutoAttack. Whatever is done is kept in results/runs.json and not done again.

    python experiments/hard_instances/run.py --budgets 10000 30000 ...                             # minutes

compares the last rungs where the budget is too small for all images to fall before them; a whole list at once, into
results/budgets.json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
import tyro
from lists import SUBJECTS, Folders, available, listed, made
from rich.progress import track
from torch import nn

from adrgd.attacks import Attack, AttackResult, Standard, Threat, attack_batch
from adrgd.attacks.case import Case
from adrgd.attacks.matrix import Peer
from adrgd.data import Images
from adrgd.errors import AdrgdError
from adrgd.files import write_text, write_with
from adrgd.objective import margin
from adrgd.rows import take
from adrgd.solvers import PGD, Steepest

HERE = Path(__file__).parent
LOSSES, LENGTHS = ("cross-entropy", "margin", "dlr"), (0.1, 0.25, 0.5)
RATE = {"hard_mnist": 17_000, "mnist": 8000, "cifar10": 8000, "cnn-a": 3000}
"""Passes a second, about, from which the budget follows: it does not depend on the machine that the command runs on."""
BUDGETS = "budgets.json"
NONE = {"walk": 0.0, "flip": 0.0, "branch": 0.0, "program": 0.0}
WAYS: dict[str, dict[str, float] | None] = {
    "pgd": None, "autoattack": None, "runs": {}, "walk": {"walk": 0.2}, "flip": {"flip": 0.3},
    "branch": {"branch": 0.3}, "program": {"program": 0.3},
    "three": {"walk": 0.1, "flip": 0.2, "branch": 0.3},
}  # fmt: skip
"""Shares of the budget of `standard`; None for a peer."""
WORDS = {
    "pgd": "diversified PGD", "autoattack": "AutoAttack", "runs": "`standard` without a last rung",
    "walk": "with walks", "flip": "with flips", "branch": "with branch and bound",
    "program": "with mixed-integer programs", "three": "with walks, flips, branch and bound",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(Folders):
    """What to run."""

    seconds: float = 5.0
    """Of the processor, an image."""
    seeds: int = 3
    ways: tuple[str, ...] = ()
    """Some of pgd, autoattack, runs, walk, flip, branch, program, three; all unless given."""
    only: tuple[str, ...] = ()
    """Some of the lists; all unless given."""
    budgets: tuple[int, ...] = ()
    """Passes an image for a whole list at once, instead of the time for each image."""
    minutes: float | None = None
    """Begin nothing after so long; the same command goes on."""
    out: Path = HERE / "results"


class Outcome(NamedTuple):
    """What became of one image: `margin` is the largest by which it was found broken, negative if it stands."""

    broken: bool
    seconds: float
    passes: int
    margin: float
    certified: bool = False


def attack(net: nn.Module, one: Images, eps: float, way: str, seed: int, options: Options, rate: int) -> Outcome:
    """Attack one image for as long as it stands and there is time."""
    shares, threat = WAYS[way], Threat(eps=eps)
    began, passes, ahead, certified = time.process_time(), 0, -float("inf"), False
    turn = 0
    while True:
        if shares is not None:
            solver = Standard(budget=int(rate * options.seconds), **NONE | shares)
            found = _ours(net, one, Attack(threat=threat, solver=solver, seed=seed))
        elif way == "pgd":
            step = Steepest(length=LENGTHS[turn % 3], schedule="linear")
            found = _ours(net, one, Attack(
                threat=threat, solver=PGD(random_start=True, step=step), steps=100, restarts=48, loss=LOSSES[turn % 3],
                seed=seed + 1000 * turn,
            ))  # fmt: skip
        else:
            case = Case.of(net, one.images, one.labels, one.index, threat, loss="cross-entropy", seed=seed)
            found = Peer.named("pyautoattack", seed=seed + 1000 * turn)(case)
        with torch.no_grad():
            ahead = max(ahead, float(margin(net(found.adversarial), one.labels)))
        passes += int(found.forward_passes + found.backward_passes)
        certified |= found.certified is not None and bool(found.certified)
        spent, turn = time.process_time() - began, turn + 1
        if found.success or certified or shares is not None or spent >= options.seconds:
            return Outcome(bool(found.success), round(spent, 2), passes, round(ahead, 5), certified)


def _ours(net: nn.Module, one: Images, attack: Attack) -> AttackResult:
    return attack_batch(net, one.images, one.labels, attack, index=one.index, check=False)


def missing(options: Options) -> Iterator[tuple[str, str, int]]:
    """Lists, ways and seeds, those first that the others are compared with."""
    for seed, name, way in product(range(options.seeds), available(options, options.only), WAYS):
        if not options.ways or way in options.ways:
            yield name, way, seed


def main(options: Options) -> None:
    """Everything that is missing."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    file, began = options.out / "runs.json", time.monotonic()
    runs: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if options.budgets:
        compare(options, began)
    for name, way, seed in track([] if options.budgets else list(missing(options)), "attacks"):
        net, images = listed(name, options)
        done = runs.setdefault(name, {}).setdefault(way, {}).setdefault(str(seed), {})
        for row, index in enumerate(images.index.tolist()):
            if str(index) in done or (options.minutes and time.monotonic() - began > 60 * options.minutes):
                continue
            one = take(images, torch.tensor([row]))
            done[str(index)] = attack(net, one, SUBJECTS[name].eps, way, seed, options, RATE[name])
            write_text(file, json.dumps(runs) + "\n")
    compared = options.out / BUDGETS
    words = page(runs, options.seconds, json.loads(compared.read_text()) if compared.exists() else {})
    write_text(options.out / "README.md", words)
    draw(options, runs)
    print(words)


def compare(options: Options, began: float) -> None:
    """Whole lists at once, by budget."""
    file = options.out / BUDGETS
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for budget, (name, way, seed) in track(list(product(options.budgets, missing(options))), "budgets"):
        shares, done = WAYS[way], known.setdefault(name, {}).setdefault(str(budget), {}).setdefault(way, {})
        late = options.minutes is not None and time.monotonic() - began > 60 * options.minutes
        if shares is None or str(seed) in done or late:
            continue
        net, images = listed(name, options)
        solver, started = Standard(budget=budget, **NONE | shares), time.process_time()
        attack = Attack(threat=Threat(eps=SUBJECTS[name].eps), solver=solver, seed=seed)
        broken = int(_ours(net, images, attack).success.sum())
        done[str(seed)] = [broken, round((time.process_time() - started) / len(images), 2)]
        write_text(file, json.dumps(known) + "\n")


def marks(seconds: float) -> list[float]:
    """The times at which the table looks."""
    return [seconds / 20, seconds / 4, seconds]


def broken(run: dict[str, list[Any]], seconds: float) -> int:
    """How many images of a run were broken in time."""
    return sum(outcome[0] and outcome[1] <= seconds for outcome in run.values())


def length(name: str, ways: dict[str, Any]) -> int:
    """The number of images in a list; of the published one, as far as a run has gone."""
    if known := made(name):
        return len(known["list"])
    return max((len(run) for seeds in ways.values() for run in seeds.values()), default=0)


def page(runs: dict[str, Any], seconds: float, compared: dict[str, Any]) -> str:
    """A table a list."""
    out = [
        "# Images that are hard to break", "",
        f"Broken by seed, each image on its own on one thread, at most {seconds:g} seconds of the processor an image; "
        "what has begun is finished, and counts in the end. Passes are forward and backward ones together, over all "
        "images and seeds. Unfinished runs are left out. Made by `run.py`, from the lists of `make_list.py`: "
        "these hold what `standard` itself has found, under other seeds, so they tell how surely it finds it again, "
        "and what of it others find, but nothing of what nobody finds. Settings of `standard` were chosen on five "
        "images of the published list, under some of the same seeds; none on the others.", "",
    ]  # fmt: skip
    for name, ways in runs.items():
        images = length(name, ways)
        out += [f"## {name} ({SUBJECTS[name].words}): {images} images", ""]
        times = " | ".join([*(f"{at:g} s" for at in marks(seconds)), "in the end"])
        out += [f"| | {times} | seconds an image | passes an image |", "|---" * (len(marks(seconds)) + 4) + "|"]
        for way in WAYS:
            whole = [run for run in ways.get(way, {}).values() if len(run) == images]
            if not whole:
                continue
            cells = [", ".join(str(broken(run, at)) for run in whole) for at in [*marks(seconds), float("inf")]]
            all_ = [outcome for run in whole for outcome in run.values()]
            cells += [f"{sum(outcome[at] for outcome in all_) / len(all_):,.{2 - at}f}" for at in (1, 2)]
            out.append(f"| {WORDS[way]} | {' | '.join(cells)} |")
        out += ["", *_list_words(name), *_budget_words(compared.get(name, {}))]
    for name, subject in SUBJECTS.items():
        if name not in runs and (words := _list_words(name)):
            out += [f"## {name} ({subject.words}): an empty list", "", *words]
    out += ["![Broken against time](broken.svg)", ""]
    return "\n".join(out)


def _budget_words(budgets: dict[str, Any]) -> list[str]:
    """A table of the last rungs by budget, the whole list at once."""
    ways = [way for way in WAYS if any(way in found for found in budgets.values())]
    if not ways:
        return []
    out = ["The whole list at once: broken by seed, and mean seconds an image.", ""]
    out += ["| budget | " + " | ".join(WORDS[way] for way in ways) + " |", "|---" * (len(ways) + 1) + "|"]
    for budget in sorted(budgets, key=int):
        cells = []
        for way in ways:
            found = list(budgets[budget].get(way, {}).values())
            mean = sum(seconds for _, seconds in found) / max(1, len(found))
            cells.append(f"{', '.join(str(broken) for broken, _ in found)} ({mean:.2f} s)" if found else "-")
        out.append(f"| {int(budget):,} | {' | '.join(cells)} |")
    return [*out, ""]


def _list_words(name: str) -> list[str]:
    """How a list was made."""
    known = made(name)
    if not known.get("found"):
        return []
    restarts, steps, *losses = known["pgd"]
    words = [one["word"] for one in known["looked"].values()]
    found = list(known["found"].values())
    budgets, longest = [one["budget"] for one in found], max(one["certify"] for one in found)
    open_ = sorted(one["margin"] for one in found if one["word"] == "undecided")
    span = f"{open_[0]:g} to {open_[-1]:g}" if open_ else "none"
    return [
        f"Of the first {known['among']} test images {words.count('wrong')} are classified wrongly, "
        f"{words.count('far')} do not come near, {words.count('pgd')} fall to {restarts} x {steps} steps of PGD on "
        f"each of {len(losses)} losses. Of the {words.count('near')} others {len(found)} were looked at, the nearest "
        f"first, with {min(budgets):,} to {max(budgets):,} passes and a proof of at most {longest:g} seconds: "
        f"{len(known['list'])} broken, {len(known['certified'])} certified, {len(known['undecided'])} undecided, whose "
        f"margins end at {span}.", "",
    ]  # fmt: skip


def draw(options: Options, runs: dict[str, Any]) -> None:
    """The share of each list that is broken, over the processor's seconds."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "hard instances"
    figure, panes = plt.subplots(1, len(runs), figsize=(3.6 * len(runs), 3.4), layout="constrained", squeeze=False)
    for axes, (name, ways) in zip(panes[0], runs.items(), strict=True):
        images = length(name, ways)
        for way in WAYS:
            whole = [run for run in ways.get(way, {}).values() if len(run) == images]
            found = sorted(out[1] for run in whole for out in run.values() if out[0] and out[1] <= options.seconds)
            if whole:
                at = [0.01, *found, options.seconds]
                share = [min(k, len(found)) / len(whole) / images for k in range(len(at))]
                axes.step(at, share, where="post", label=WORDS[way], linewidth=1)
        axes.set(xscale="log", xlabel="processor seconds", title=name, ylim=(-0.02, 1.02))
    panes[0][0].set_ylabel("share broken")
    figure.legend(*panes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    write_with(options.out / "broken.svg", partial(figure.savefig, format="svg", metadata={"Date": None}))
    plt.close(figure)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
