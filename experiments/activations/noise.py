"""How much noise the gates of a smooth network should have: images broken by sigma0, plain gradients beside.

    python experiments/activations/noise.py --mnist FOLDER        # minutes

A first sigma of almost nothing makes graduated gates plain gradients. Everything else is equal: random starts, passes,
images, seeds. The table goes to results/noise.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from rich.progress import track
from run import EPS, HERE, SPECS

from adrgd import load_data, load_model
from adrgd.attacks import Attack, Threat, attack_batch, steps_within
from adrgd.errors import AdrgdError
from adrgd.files import write_text
from adrgd.solvers import PGD, GraduatedADR, Solver


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    mnist: Path | None = None
    """The folder of MNIST's four files; without it the first of the bundled test images, which are the same."""
    nets: tuple[str, ...] = ("mnist-vit", "mnist-convnext", "mnist-elu")
    sigmas: tuple[float, ...] = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
    """First sigmas, in radii; 2 is what is used unless told otherwise."""
    limit: int = 100
    seeds: int = 3
    passes: int = 216
    out: Path = HERE / "results"


def solvers(options: Options) -> dict[str, Solver]:
    """Plain gradients, then one for each sigma."""
    usual = GraduatedADR(random_start=True)
    found: dict[str, Solver] = {"pgd": PGD(random_start=True)}
    for sigma in options.sigmas:
        found[f"sigma0 {sigma:g}"] = replace(usual, gates=replace(usual.gates, sigma0=sigma))
    return found


def main(options: Options) -> None:
    """All of them, and the table."""
    torch.set_num_threads(1)
    data = load_data(f"mnist:{options.mnist}" if options.mnist else "bundled:mnist", limit=options.limit)
    taking_part = solvers(options)
    lines = [
        "# Images broken by the first sigma of the gates", "",
        f"{len(data)} test images, eps {EPS['mnist']}, random starts, {options.passes} forward and backward passes, "
        f"seeds 0 to {options.seeds - 1}.", "",
        f"| network | {' | '.join(taking_part)} |", "|---|" + "---|" * len(taking_part),
    ]  # fmt: skip
    for name in options.nets:
        model, cells = load_model(SPECS[name]).module, []
        for solver in track(taking_part.values(), name):
            steps = steps_within(solver, options.passes)
            broken = [
                int(attack_batch(
                    model, data.images, data.labels,
                    Attack(threat=Threat(norm="linf", eps=EPS["mnist"]), solver=solver, steps=steps, seed=seed),
                ).success.sum())
                for seed in range(options.seeds)
            ]  # fmt: skip
            cells.append(", ".join(map(str, broken)))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    write_text(options.out / "noise.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
