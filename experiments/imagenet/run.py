"""ImageNet: PGD, GraduatedADR and ADR-GD against a ResNet-50, at equal numbers of forward and backward passes.

    python experiments/imagenet/run.py --folder FOLDER --eps 2 --goals untargeted --limit 40
    python experiments/imagenet/run.py --folder FOLDER             # all eps and goals, all 200 images: hours on a CPU

FOLDER holds resnet50_keras_caffe_fp16.npz and imagenet_sample200_224.npz. Each condition is a folder of `adrgd attack`
under --runs; stopped, the same command goes on after the last finished batch.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from resnet50 import resnet50

from adrgd.attacks import Attack, Standard, Threat, steps_within
from adrgd.attacks.run import run_attack
from adrgd.attacks.run_folder import RunFolder
from adrgd.cli.progress import progress_bar
from adrgd.data import load_data
from adrgd.described import describe
from adrgd.errors import AdrgdError
from adrgd.files import write_text
from adrgd.solvers import PGD, GraduatedADR, GraduatedGates, GraduatedSecant, Momentum, SecantGates, Solver, preset
from adrgd.solvers.steps import FROM_TWO_RADII

HERE = Path(__file__).parent
LAST = "last:3"  # the last bottleneck, as in Table 1(a)
MOMENTUM = Momentum(length=2.0, decay_rate=0.5, schedule="linear")
FINE = GraduatedGates(sigma0=0.3, probe_every=9)  # few iterations bear few probes
SECANT = SecantGates(sigma0=1.0)  # none at all; both were chosen on the first 40 images
Goal = Literal["untargeted", "targeted"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    folder: Path
    """With the weights and the images."""
    eps: tuple[int, ...] = (2, 1, 4)
    """In 255ths."""
    goals: tuple[Goal, ...] = ("untargeted", "targeted")
    """Targets are other classes drawn at random."""
    solvers: tuple[str, ...] = (
        "pgd", "secant-momentum", "standard", "pgd-momentum", "graduated-momentum", "secant", "secant-momentum-last",
        "graduated", "graduated-last", "adr-last", "adr-last-sign", "adr",
    )  # fmt: skip
    passes: int = 25
    """Forward and backward passes an image; each solver takes as many iterations as fit."""
    budget: int = 200
    """The most passes an image of the ensemble, which stops at success."""
    limit: int = 200
    """The first N images."""
    batch_size: int = 10
    seed: int = 0
    runs: Path = Path("runs/imagenet")
    out: Path = HERE / "results"
    json: bool = False
    """Print the results as one JSON object and nothing else."""


@dataclass(frozen=True)
class Condition:
    """One cell of the table."""

    eps: int
    goal: Goal
    solver: str

    def path(self, options: Options) -> Path:
        words = (self.goal, f"eps{self.eps}", self.solver, f"{options.passes}p", f"{options.limit}n")
        return options.runs / f"{'-'.join(words)}-{options.seed}"


def attack_of(options: Options, condition: Condition) -> Attack:
    """The attack of a row; all but the ensemble raise the loss to the end."""
    threat = Threat(eps=condition.eps / 255, target="random" if condition.goal == "targeted" else None)
    if condition.solver == "standard":
        return Attack(threat=threat, solver=Standard(budget=options.budget), seed=options.seed)
    solver = solver_of(condition.solver, condition.goal)
    steps = steps_within(solver, options.passes)
    return Attack(threat=threat, solver=solver, steps=steps, seed=options.seed, stop_at_success=False)


def solver_of(name: str, goal: Goal) -> Solver:
    """The solver of a row: ADR-GD with the paper's settings for ImageNet, or with PGD's steps ("sign")."""
    adr = preset(f"paper-imagenet-{goal}")
    last = replace(adr, gates=replace(adr.gates, layers=LAST))
    known: dict[str, Solver] = {
        "pgd": PGD(),
        "graduated": GraduatedADR(),
        "graduated-last": GraduatedADR(gates=GraduatedGates(layers=LAST)),
        "pgd-momentum": PGD(step=MOMENTUM),
        "graduated-momentum": GraduatedADR(gates=FINE, step=MOMENTUM),
        "secant": GraduatedSecant(gates=SECANT),
        "secant-momentum": GraduatedSecant(gates=SECANT, step=MOMENTUM),
        "secant-momentum-last": GraduatedSecant(gates=replace(SECANT, layers=LAST), step=MOMENTUM),
        "adr": adr,
        "adr-last": last,
        "adr-last-sign": replace(last, step=FROM_TWO_RADII),
    }
    if name not in known:
        raise AdrgdError(f"unknown solver {name!r}; expected one of {', '.join(known)}")
    return known[name]


def conditions(options: Options) -> Iterator[Condition]:
    """In the order in which they are run."""
    for goal in options.goals:
        for eps in options.eps:
            for solver in options.solvers:
                yield Condition(eps, goal, solver)


def run(options: Options, condition: Condition) -> dict[str, Any]:
    """Attack the images under one condition, or go on with it, and return its record."""
    attack = attack_of(options, condition)
    model = resnet50(str(options.folder / "resnet50_keras_caffe_fp16.npz")).float().eval().requires_grad_(False)
    model = model.to(memory_format=torch.channels_last)  # a quarter faster on a processor
    images = load_data(f"npz:{options.folder / 'imagenet_sample200_224.npz'}", limit=options.limit)
    config = {
        "model": "ResNet-50", "data": "imagenet_sample200_224", "threat": asdict(attack.threat),
        "solver": describe(attack.solver, condition.solver), "steps": attack.steps, "seed": options.seed,
        "limit": options.limit, "batch_size": options.batch_size, "passes": options.passes, "restarts": 1,
        "loss": attack.loss,
    }  # fmt: skip
    path = condition.path(options)
    with progress_bar() as bar:
        task = bar.add_task(path.name, total=len(images))
        run_attack(
            model, images, attack, path, config=config, batch_size=options.batch_size, resume=path.exists(),
            advance=lambda done, broken: bar.update(task, completed=done, description=f"{path.name}: {broken} broken"),
        )  # fmt: skip
    return record(condition, RunFolder(path, config, resume=True).results(), attack)


def record(condition: Condition, table: dict[str, Any], attack: Attack) -> dict[str, Any]:
    """The figures of a finished condition; success and losses are those of correctly classified images."""
    right = table["clean_prediction"] == table["label"]
    return asdict(condition) | {
        "steps": attack.steps if isinstance(attack.solver, Solver) else None,
        "images": len(right),
        "correct": int(right.sum()),
        "success": float(table["success"][right].mean()),
        "mean_clean_loss": float(table["clean_loss"][right].mean()),
        "mean_loss": float(table["adversarial_loss"][right].mean()),
        "passes": float((table["forward_passes"] + table["backward_passes"]).mean()),
        "seconds_an_image": float(table["seconds"].mean()),
    }


def markdown(found: list[dict[str, Any]]) -> str:
    """One table of all conditions."""
    head = ["goal", "eps", "solver", "images", "iterations", "passes", "success", "mean loss", "s an image"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [
        f"| {one['goal']} | {one['eps']}/255 | {one['solver']} | {one['correct']} of {one['images']} | "
        f"{one['steps'] or '-'} | {one['passes']:.0f} | **{one['success']:.4f}** | **{one['mean_loss']:.4f}** | "
        f"{one['seconds_an_image']:.1f} |"
        for one in found
    ]
    what = (
        "The first images of the sample; success and mean loss of those that are classified correctly. The loss is the "
        "cross-entropy of the label, or minus that of a random target: larger is better for the attack in both. `last` "
        "gates the last bottleneck's three ReLU layers, others gate every layer; `sign` is ADR-GD under PGD's steps. "
        "`secant` are graduated gates without probes, `momentum` steps along a decaying sum of gradients. "
        "`standard`, the ensemble, stops at success."
    )
    return f"# ResNet-50 on ImageNet\n\n{what}\n\n" + "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Run what is missing; the table holds what earlier calls found as well."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "imagenet.json"
    known = {}
    if file.exists():
        known = {(one["goal"], one["eps"], one["solver"]): one for one in json.loads(file.read_text())}
    for condition in conditions(options):
        one = run(options, condition)
        known[one["goal"], one["eps"], one["solver"]] = one
        found = sorted(known.values(), key=lambda one: (one["goal"] == "targeted", one["eps"], -one["images"]))
        write_text(file, json.dumps(found, indent=2) + "\n")
        write_text(options.out / "imagenet.md", markdown(found))
    print(json.dumps(found) if options.json else markdown(found))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
