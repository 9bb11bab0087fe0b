"""Section 6.1 under two protocols: perturbed images inside [0, 1], and, as in the paper's code, in the ball alone.

    python experiments/figure3/protocols.py --networks mnist-pgd mnist-natural
    python experiments/figure3/protocols.py --networks authors-pgd authors-natural --authors FOLDER
    python experiments/figure3/protocols.py --networks authors-pgd --authors FOLDER --solvers adr-released --limit 10
    python experiments/figure3/protocols.py --networks vgg11-fgsm-rs vgg11-natural vgg-small-pgd --cifar10 FOLDER
    python experiments/figure3/vgg19.py FOLDER --device cuda               # trains VGG19 first
    python experiments/figure3/protocols.py --networks resnet50 --imagenet FOLDER --limit 10 --steps 10

--authors holds the authors' two MNIST networks, --imagenet what experiments/imagenet reads. Each network, protocol and
goal is an evaluation under --runs, and goes on where it was stopped; the tables hold what earlier calls found as well.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import Tensor, nn

from adrgd import Score, maximize
from adrgd.attacks import Attack, Standard, steps_within
from adrgd.attacks.case import Case
from adrgd.attacks.matrix import Own, run_matrix
from adrgd.attacks.matrix.entrants import Entrant
from adrgd.attacks.matrix.judge import Checked, checked, judge
from adrgd.cli.progress import progress_bar
from adrgd.data import load_data
from adrgd.errors import AdrgdError, UsageError
from adrgd.files import write_text
from adrgd.models import load_model
from adrgd.names import BoxName
from adrgd.solvers import PGD, SETTINGS, GraduatedADR, Solver, Steepest, preset

HERE = Path(__file__).parent
Goal = Literal["untargeted", "targeted"]
GOALS: tuple[Goal, ...] = ("untargeted", "targeted")
BOXES: tuple[BoxName, ...] = ("data", "none")
PROTOCOLS = {"data": "inside [0, 1]", "none": "ball only"}
FIXED = 2 / 255  # the paper's PGD takes steps of this length on CIFAR-10; on MNIST they are eps / 20
LAST = "last:3"  # ADR-GD's layers on ImageNet, as in Table 1(a)


@dataclass(frozen=True)
class Network:
    """What is attacked.

    Attributes:
        words: for the table.
        dataset: whose settings ADR-GD takes.
        spec: of the model; FOLDER stands for the folder given on the command line.
        eps: the paper's for the data set.
    """

    words: str
    dataset: Literal["mnist", "cifar10", "imagenet"]
    spec: str
    eps: float


ROBUST = "ROBUST"  # stands for the folder of --weights


def _cifar(words: str, architecture: str, kind: str) -> Network:
    spec = f"cifar-{architecture}?weights={ROBUST}/cifar10-{kind}.safetensors"
    return Network(words, "cifar10", spec, 8 / 255)


NETWORKS = {
    "mnist-natural": Network("MNIST CNN, natural (ours)", "mnist", "bundled:mnist-clean", 0.2),
    "mnist-pgd": Network(
        "MNIST CNN, PGD-trained (ours)", "mnist", f"mnist-cnn?weights={ROBUST}/mnist-pgd.safetensors", 0.2
    ),
    "authors-natural": Network(
        "MNIST CNN, natural (the authors')", "mnist", "mnist-cnn?weights=FOLDER/mnist_clean_epochs_20", 0.2
    ),
    "authors-pgd": Network(
        "MNIST CNN, PGD-trained (the authors')", "mnist",
        "mnist-cnn?weights=FOLDER/mnist_pgd_epsilon_0.25_steps_20_epochs_20", 0.2,
    ),
    "vgg11-natural": _cifar("VGG11, quarter width, natural", "vgg11-quarter", "vgg11-natural"),
    "vgg11-fgsm-rs": _cifar("VGG11, quarter width, FGSM from random starts", "vgg11-quarter", "vgg11-fgsm-rs"),
    "vgg-small-natural": _cifar("small VGG, natural", "vgg-small", "natural"),
    "vgg-small-pgd": _cifar("small VGG, PGD-trained", "vgg-small", "pgd"),
    "vgg19-natural": _cifar("VGG19, natural", "vgg19", "vgg19-natural"),
    "vgg19-pgd": _cifar("VGG19, PGD-trained", "vgg19", "vgg19-pgd"),
    "resnet50": Network("ResNet-50, natural", "imagenet", "resnet50", 2 / 255),
}  # fmt: skip
SOLVERS = ("pgd-fixed", "pgd", "adr-paper", "adr-passes", "adr-whole", "graduated", "standard")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    networks: tuple[str, ...] = ("mnist-natural", "mnist-pgd")
    solvers: tuple[str, ...] = SOLVERS
    """Of pgd-fixed, pgd, adr-paper, adr-passes, adr-whole, adr-released (MNIST alone), graduated, standard."""
    boxes: tuple[BoxName, ...] = BOXES
    goals: tuple[Goal, ...] = GOALS
    """Targets are other classes drawn at random."""
    mnist: Path | None = None
    """The folder of MNIST; the images bundled with the package are the first 500."""
    cifar10: Path | None = None
    imagenet: Path | None = None
    authors: Path | None = None
    weights: Path = HERE.parent / "robust_nets" / "results"
    """Of our own networks, as experiments/robust_nets makes them."""
    limit: int = 100
    """The first N images."""
    steps: int = 100
    """Iterations of each solver."""
    budget: int = 1000
    """Passes an image of the ensemble."""
    batch_size: int = 50
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""
    seed: int = 0
    runs: Path = Path("runs/protocols")
    out: Path = HERE / "results"
    json: bool = False
    """Print the results as one JSON object and nothing else."""


@dataclass(frozen=True, kw_only=True)
class LastIterate:
    """PGD as the paper compares with it: steps of fixed length, and the last point, whatever was found before."""

    step: float
    steps: int
    name: str = "PGD, fixed steps, last iterate"
    loss: str = "cross-entropy"
    seed: int = 0

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def __call__(self, case: Case) -> Checked:
        rows = torch.arange(len(case.clean), device=case.clean.device)
        objective, seen = case.objective(rows), [case.clean]

        def watched(x: Tensor, rows: Tensor) -> Score:
            seen[0] = x.detach()
            return objective(x, rows)

        solver = PGD(step=Steepest(length=self.step / case.threat.eps, schedule="constant"))
        found = maximize(
            watched, case.clean, domain=case.around(rows), solver=solver, steps=self.steps, seed=self.seed,
            stop_at_goal=False, check=False, history=True,
        )  # fmt: skip
        verdict = judge(case, seen[0])
        spent = found.forwards + found.backwards
        return checked(
            case, verdict, forwards=found.forwards, backwards=found.backwards, seconds=found.seconds,
            first_success=found.first_reached, broken_after=spent, silent=found.reached & ~verdict.success,
            history=torch.empty(0) if found.history is None else found.history.T,
        )  # fmt: skip


def entrants(options: Options, network: Network, goal: Goal) -> Iterator[Entrant]:
    """The attacks, each with its settings for the data set and the goal."""
    for name in options.solvers:
        if name == "pgd-fixed":
            step = network.eps / 20 if network.dataset == "mnist" else FIXED
            yield LastIterate(step=step, steps=options.steps, seed=options.seed)
            continue
        if name == "adr-released" and network.dataset != "mnist":
            continue
        yield Own(name=WORDS[name], attack=_attack(options, network, goal, name))


WORDS = {
    "pgd": "PGD, falling steps, best iterate",
    "adr-paper": "ADR-GD, paper's settings, as many iterations",
    "adr-passes": "ADR-GD, paper's settings, as many passes",
    "adr-whole": "ADR-GD, paper's settings, its own iterations",
    "adr-released": "ADR-GD, released MNIST code",
    "graduated": "GraduatedADR, as many iterations",
    "standard": "ensemble standard",
}


def _attack(options: Options, network: Network, goal: Goal, name: str) -> Attack:
    if name == "standard":
        return Attack(solver=Standard(budget=options.budget), seed=options.seed)
    adr = preset(f"paper-{network.dataset}-{goal}")
    if network.dataset == "imagenet":
        adr = replace(adr, gates=replace(adr.gates, layers=LAST))
    known: dict[str, Callable[[], Solver]] = {
        "pgd": PGD,
        "graduated": GraduatedADR,
        "adr-paper": lambda: adr,
        "adr-passes": lambda: adr,
        "adr-whole": lambda: adr,
        "adr-released": lambda: preset(f"released-mnist-{goal}"),
    }
    if name not in known:
        raise UsageError(f"unknown solver {name!r}; expected one of pgd-fixed, standard, {', '.join(known)}")
    steps = {"adr-passes": steps_within(adr, 2 * options.steps), "adr-whole": SETTINGS[f"{network.dataset}-{goal}"].T}
    return Attack(solver=known[name](), steps=steps.get(name, options.steps), seed=options.seed, stop_at_success=False)


def steps_of(options: Options, network: Network, goal: Goal, words: str) -> int | None:
    """The iterations of an attack; None for the ensemble, which has a budget."""
    name = next((name for name in WORDS if WORDS[name] == words), "pgd")  # the last iterate is PGD's
    return None if name == "standard" else _attack(options, network, goal, name).steps


def load(options: Options, network: Network) -> tuple[nn.Module, str]:
    """The network, and the spec of its images.

    Raises:
        UsageError: no folder is known for it, or for its images.
    """
    folders = {"mnist": options.mnist, "cifar10": options.cifar10, "imagenet": options.imagenet}
    folder = folders[network.dataset]
    if folder is None and network.dataset != "mnist":
        raise UsageError(f"{network.dataset} is not bundled; expected its folder, add --{network.dataset} FOLDER")
    if network.dataset == "imagenet":
        sys.path.insert(0, str(HERE.parent / "imagenet"))
        from resnet50 import resnet50

        module = resnet50(f"{folder}/resnet50_keras_caffe_fp16.npz").float().eval().requires_grad_(False)
        module = module.to(options.device, memory_format=torch.channels_last)
        return module, f"npz:{folder}/imagenet_sample200_224.npz"
    if "FOLDER" in network.spec and options.authors is None:
        raise UsageError("the authors' networks are not ours to bundle; expected their folder, add --authors FOLDER")
    spec = network.spec.replace("FOLDER", str(options.authors)).replace(ROBUST, str(options.weights))
    module = load_model(spec, device=options.device).module
    return module, "bundled:mnist" if folder is None else f"{network.dataset}:{folder}"


def evaluate(options: Options, name: str, box: BoxName, goal: Goal) -> dict[str, Any]:
    """One network under one protocol, with one goal."""
    network = NETWORKS[name]
    module, data = load(options, network)
    images = load_data(data, limit=options.limit)
    out = options.runs / f"{name}-{box}-{goal}-{options.limit}n-{options.steps}s-{options.seed}"
    taking_part = list(entrants(options, network, goal))
    with progress_bar() as bar:
        task = bar.add_task(out.name, total=len(images) * len(taking_part))
        return run_matrix(
            {network.words: module}, images, taking_part, out, eps=[network.eps], box=box,
            target="random" if goal == "targeted" else None, seed=options.seed, batch_size=options.batch_size,
            device=options.device, config={"data": network.dataset, "limit": options.limit}, resume=out.exists(),
            advance=lambda what, count: bar.update(task, advance=count, description=what),
        )  # fmt: skip


def records(options: Options, name: str, box: BoxName, goal: Goal) -> Iterator[dict[str, Any]]:
    """What the table says of each attack."""
    network, summary = NETWORKS[name], evaluate(options, name, box, goal)
    place = {
        "network": name,
        "goal": goal,
        "box": box,
        "eps": network.eps,
        "limit": options.limit,
        "seed": options.seed,
    }
    for cell in summary["cells"]:
        found = {
            "attack": cell["attack"], "success": cell["success_rate"], "interval": cell["success_interval_95"],
            "clean_error": 1 - cell["clean_accuracy"], "mean_loss": cell["mean_loss"],
            "passes": (cell["forward_passes"] + cell["backward_passes"]) / cell["images"],
        }  # fmt: skip
        place["steps"] = steps_of(options, network, goal, cell["attack"])
        yield place | found
        if "recorded_success_rate" in cell:
            recorded = {"success": cell["recorded_success_rate"], "interval": cell["recorded_interval_95"]}
            yield (
                place
                | {"steps": options.steps}
                | found
                | {"attack": f"{cell['attack']}, recorded as released"}
                | recorded
            )


def markdown(found: list[dict[str, Any]]) -> str:
    """A table for each network and goal: an attack a line, both protocols side by side."""
    parts = ["# Section 6.1 under two protocols\n", LEGEND]
    places = list(dict.fromkeys((one["network"], one["goal"]) for one in found))
    for network, goal in sorted(places, key=lambda place: (list(NETWORKS).index(place[0]), place[1] == "targeted")):
        here = [one for one in found if (one["network"], one["goal"]) == (network, goal)]
        wrong = next(one["clean_error"] for one in here)
        parts.append(
            f"## {NETWORKS[network].words}, {goal}, eps {NETWORKS[network].eps:.3g}"
            + (f"\n\n{100 * wrong:.0f} % are misclassified to begin with.\n" if goal == "untargeted" else "\n")
        )
        head = ["attack", "images", "iterations", "passes", *PROTOCOLS.values()]
        parts += ["| " + " | ".join(head) + " |", "|---|---:|---:|---:|---:|---:|"]
        for attack, limit in dict.fromkeys((one["attack"], one["limit"]) for one in here):
            both = {one["box"]: one for one in here if (one["attack"], one["limit"]) == (attack, limit)}
            one = next(iter(both.values()))
            shares = [_share(both[box]) if box in both else "" for box in BOXES]
            parts.append(f"| {attack} | {limit} | {one['steps'] or '-'} | {one['passes']:.0f} | {' | '.join(shares)} |")
        parts.append("")
    return "\n".join(parts)


LEGEND = (
    "Share of the first images broken, clean errors counted, with Wilson's 95 % interval; in targeted attacks, the "
    "share that became a class drawn at random. Every image found is judged once more by the untouched network, in its "
    "ball and, on the left, inside [0, 1]. The other solvers have as many iterations as PGD, or as many forward and "
    "backward passes an image, or, ADR-GD, as many iterations as the paper says. Made by "
    "`experiments/figure3/protocols.py`, seed 0; first images of the test sets, of ImageNet those of the sample.\n"
)


def _share(one: dict[str, Any]) -> str:
    return f"{one['success']:.2f} ({one['interval'][0]:.2f} to {one['interval'][1]:.2f})"


def main(options: Options) -> None:
    """Evaluate what is missing, and write what is known."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "protocols.json"
    known = {_key(one): one for one in (json.loads(file.read_text()) if file.exists() else [])}
    unknown = [name for name in options.networks if name not in NETWORKS]
    if unknown:
        raise UsageError(f"unknown network {unknown[0]!r}; expected one of {', '.join(NETWORKS)}")
    for name in options.networks:
        for goal in options.goals:
            for box in options.boxes:
                known |= {_key(one): one for one in records(options, name, box, goal)}
                found = list(known.values())
                write_text(file, json.dumps(found, indent=1) + "\n")
                write_text(options.out / "protocols.md", markdown(found))
    print(json.dumps(found) if options.json else f"{options.out}/protocols.md")


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(one[name] for name in ("network", "goal", "box", "attack", "limit", "steps"))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
