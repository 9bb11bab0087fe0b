"""The ensemble `standard` against AutoAttack and PGD: broken images, passes and time, on networks trained to resist.

    python benchmarks/standard.py                                       # the bundled robust network, minutes
    python benchmarks/standard.py --nets FOLDER --mnist FOLDER --cifar10 FOLDER   # all five, an hour, most of it peers
    python benchmarks/standard.py --norm l1 ...                         # or l2: two radii each, into standard_l1.md
    python benchmarks/standard.py --norm l1 ... --minutes 5             # go on for five minutes

FOLDER of --nets holds published networks: adrgd_mnist/ of hoy021/ADR-GD, cifar10/cifar_cnn_a_adv4.model and hard_mnist/
of Verified-Intelligence/alpha-beta-CROWN, cifar10/sri_resnet_a.onnx of VNN-COMP 2022. Same images, same ball, same box
for all. Seconds are of the processor, where one thread works. Every attack that was finished is kept in
benchmarks/results/standard.json, and not run again unless --again is given; in l1 and l2 after a few images.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import json
import platform
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.progress import track
from standard_nets import hard_mnist, published
from torch import nn

from adrgd import load_data, load_model
from adrgd.attacks import Attack, Threat
from adrgd.attacks.case import Case
from adrgd.attacks.matrix import Own, Peer
from adrgd.data import Images
from adrgd.domain import Norm
from adrgd.files import write_text
from adrgd.rows import take

PY = "pyautoattack"
APGD = "pyautoattack?attacks=apgd-ce,apgd-t"  # without FAB-T and Square, which take four fifths of the passes
PIECES = {"bundled": 10, "robust-mnist": 10, "cnn-a": 25, "sri-resnet": 5}
"""Images at once in l1 and l2, so that what a run has finished is soon kept."""
AUTO, PGD = "torchattacks:AutoAttack", "torchattacks:PGD?steps=200&alpha=0.01"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    nets: Path | None = None
    mnist: Path | None = None
    """The folder of MNIST's four files."""
    cifar10: Path | None = None
    """The folder of cifar10.npz."""
    only: tuple[str, ...] = ()
    """Some of bundled, robust-mnist, cnn-a, sri-resnet, hard-mnist; all for which there are files unless given."""
    norm: Norm = "linf"
    """In l1 and l2 there are two radii a network, and AutoAttack is pyautoattack's, which knows l1."""
    attacks: tuple[str, ...] = ()
    """Some of the lines, by name without the seed; all unless given."""
    limit: int = 50
    """Images in l1 and l2, from the first on."""
    minutes: float | None = None
    """Begin nothing after so long."""
    seeds: int = 3
    """Runs of the ensemble; peers run once."""
    again: bool = False
    """Run what was finished before as well."""
    out: Path = Path(__file__).parent / "results"
    json: bool = False
    """Print the results as one JSON object and nothing else."""


@dataclass(frozen=True)
class Job:
    """One network, its images, and who attacks them."""

    words: str
    load: Callable[[], tuple[nn.Module, Images]]
    eps: float
    attacks: tuple[str, ...] = ("standard", AUTO)
    threads: int = 1
    norm: Norm = "linf"
    piece: int = 10**9
    """Images at once."""


RADII: dict[str, dict[str, tuple[float, float]]] = {
    "bundled": {"l2": (1.0, 2.0), "l1": (5.0, 10.0)},
    "robust-mnist": {"l2": (1.0, 2.0), "l1": (5.0, 10.0)},
    "cnn-a": {"l2": (0.25, 0.5), "l1": (6.0, 12.0)},
    "sri-resnet": {"l2": (0.25, 0.5), "l1": (6.0, 12.0)},
}
"""By network and norm; the networks were trained for the largest norm."""


def jobs(options: Options) -> dict[str, Job]:
    """All for which there are files."""
    found = {
        "bundled": Job(
            "bundled:mnist-pgd, 200 images, eps .25",
            lambda: (load_model("bundled:mnist-pgd").module, load_data("bundled:mnist", limit=200)),
            0.25, ("standard?budget=1000", "standard", AUTO),
        )
    }  # fmt: skip
    nets, mnist, cifar = options.nets, options.mnist, options.cifar10
    if nets and mnist:
        found["robust-mnist"] = Job(
            "the released PGD-trained MNIST network, 300 images, eps .2",
            partial(published, "robust-mnist", nets, mnist, 300), 0.2,
            ("standard?budget=700", "standard", AUTO),
        )  # fmt: skip
        found["hard-mnist"] = Job(
            "the tiny Madry-style CNN, 20 images that only a MIP had broken, eps .3",
            partial(hard_mnist, nets, mnist), 0.3, ("standard?budget=120000", AUTO, PGD), 2,
        )  # fmt: skip
    if nets and cifar:
        found["cnn-a"] = Job(
            "cifar_cnn_a_adv4, 200 images, eps 8/255",
            partial(published, "cnn-a", nets, cifar, 200), 8 / 255, ("standard?budget=1000", AUTO),
        )  # fmt: skip
        found["sri-resnet"] = Job(
            "sri_resnet_a, 200 images, eps 4/255",
            partial(published, "sri-resnet", nets, cifar, 200), 4 / 255,
            ("standard?budget=1000", AUTO),
        )  # fmt: skip
    found = {name: job for name, job in found.items() if not options.only or name in options.only}
    if options.norm == "linf":
        return found
    return {
        f"{name} {eps:g}": replace(
            job, words=f"{job.words.partition(',')[0]}, {options.norm}, eps {eps:g}",
            load=partial(_first, job, options.limit), eps=eps, norm=options.norm, piece=PIECES[name],
            attacks=("standard?budget=1000", APGD, PY),
        )
        for name, job in found.items() for eps in RADII.get(name, {}).get(options.norm, ())
    }  # fmt: skip


def _first(job: Job, count: int) -> tuple[nn.Module, Images]:
    model, images = job.load()
    return model, take(images, torch.arange(count))


def run(job: Job, attack: str, seed: int, images: Images, model: nn.Module) -> dict[str, Any]:
    """One attack on some images of a job at once; what it found is judged by us, in float64 too."""
    torch.set_num_threads(job.threads)
    case = Case.of(
        model, images.images, images.labels, images.index, Threat(norm=job.norm, eps=job.eps), loss="cross-entropy",
        seed=seed,
    )  # fmt: skip
    ours = attack.startswith("standard")
    entrant = Own.named(attack, Attack(seed=seed)) if ours else Peer.named(attack, seed=seed)
    began = time.process_time(), time.perf_counter()
    found = entrant(case)
    seconds = time.process_time() - began[0], time.perf_counter() - began[1]
    exact = deepcopy(model).double()(found.adversarial.double()).argmax(1) != found.label
    spent = (found.forward_passes + found.backward_passes).double()
    return {
        "broken": int(found.success.sum()), "images": len(images), "broken_in_float64": int(exact.sum()),
        "outside": int(found.outside.sum()), "passes": float(spent.mean()), "most_passes": int(spent.max()),
        "processor_seconds": seconds[0], "wall_seconds": seconds[1], "threads": job.threads,
        "each": {"broken": found.success.int().tolist(), "passes": spent.int().tolist()},
    }  # fmt: skip


def joined(before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The figures of both pieces together."""
    alike = {name: before[name] + value for name, value in more.items() if name not in ("threads", "passes", "each")}
    each = {name: before["each"][name] + values for name, values in more["each"].items()}
    alike |= {"passes": sum(each["passes"]) / alike["images"], "most_passes": max(each["passes"])}
    return alike | {"threads": more["threads"], "each": each}


def shared(runs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The figures over the images that all runs have looked at, so far as figures by image were kept."""
    count = min(one["images"] for one in runs.values())
    found = {}
    for key, one in runs.items():
        found[key] = one
        if one["images"] > count:
            share = count / one["images"]
            broken, passes = (one["each"][name][:count] for name in ("broken", "passes"))
            found[key] = one | {
                "broken": sum(broken), "images": count, "passes": sum(passes) / count, "most_passes": max(passes),
                "broken_in_float64": sum(broken) if one["broken_in_float64"] == one["broken"] else "-",
                **{name: one[name] * share for name in ("processor_seconds", "wall_seconds")},
            }  # fmt: skip
    return found


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """One table; a line for each attack and seed, and what it took in units of AutoAttack."""
    lines = [
        "# The ensemble `standard`", "",
        f"{platform.machine()}, torch {torch.__version__}; found inputs are judged by us. The last two columns: passes "
        "and seconds in units of AutoAttack's. Seconds are of the processor with one thread, of the wall with two.", "",
        "| attack | seed | broken | rate | in float64 | passes an image | most | seconds | passes, AutoAttack = 1 | "
        "seconds, AutoAttack = 1 |", "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for words, finished in results.items():
        runs = shared(finished)
        lines.append(f"| **{words}** | | | | | | | | | |")
        peer = runs.get(f"{PY} 0") or next((one for key, one in runs.items() if key.startswith(AUTO)), None)
        for key, one in runs.items():
            attack, _, seed = key.rpartition(" ")
            ratios = ["", ""]
            if peer is not None:
                ratios = [f"{one['passes'] / peer['passes']:.2f}", f"{_s(one) / _s(peer):.3f}"]
            cells = [
                f"`{attack}`", seed, f"{one['broken']} of {one['images']}", f"{one['broken'] / one['images']:.4f}",
                str(one["broken_in_float64"]), f"{one['passes']:.0f}", str(one["most_passes"]), f"{_s(one):.1f}",
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells + ratios)} |")
    return "\n".join(lines) + "\n"


def _s(one: dict[str, Any]) -> float:
    return float(one["processor_seconds"] if one["threads"] == 1 else one["wall_seconds"])


def main(options: Options) -> None:
    """Run what is missing, job by job, and write the table after each attack."""
    name = "standard" if options.norm == "linf" else f"standard_{options.norm}"
    file = options.out / f"{name}.json"
    results: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    began = time.monotonic()
    todo = [
        (job, attack, seed)
        for job in jobs(options).values()
        for attack in job.attacks
        if not options.attacks or attack in options.attacks
        for seed in range(options.seeds if attack.startswith("standard") else 1)
    ]
    for job, attack, seed in todo if options.again else ():
        results.get(job.words, {}).pop(f"{attack} {seed}", None)
    rounds = range(-(-options.limit // min(PIECES.values())) if options.norm != "linf" else 1)
    for turn, (job, attack, seed) in track([*product(rounds, todo)], "attacks", disable=options.json):
        runs, key = results.setdefault(job.words, {}), f"{attack} {seed}"
        model, images = job.load()
        done, end = runs.get(key, {}).get("images", 0), min((turn + 1) * job.piece, len(images))
        if done >= end:
            continue
        if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
            return
        found = run(job, attack, seed, take(images, torch.arange(done, end)), model)
        runs[key] = joined(runs[key], found) if done else found
        options.out.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(results, indent=1) + "\n")
        write_text(options.out / f"{name}.md", markdown(results))
    print(json.dumps(results) if options.json else markdown(results))


if __name__ == "__main__":
    main(tyro.cli(Options))
