"""Networks with smooth activations: plain gradients, graduated gates, the ensemble and others' attacks, equal passes.

    python experiments/activations/run.py --mnist FOLDER --cifar10 FOLDER                  # hours, most of it peers
    python experiments/activations/run.py --mnist FOLDER --only mnist-elu --peers          # minutes: no peers

The networks are those of train.py. Each seed of a network is an evaluation under --runs; stopped, the same command goes
on with the first batch that is missing. The table and one row an attack, seed and image go to --out, and what another
run has put there about other networks and attacks stays.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro
from entrants import OURS, PEERS, ensemble, own, peers, schedules
from table import page

from adrgd import load_data, load_model
from adrgd.attacks.matrix import run_matrix
from adrgd.attacks.matrix.entrants import Entrant
from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.files import write_text, write_with

HERE = Path(__file__).parent
EPS = {"mnist": 0.3, "cifar": 8 / 255}  # what the networks were trained with
SPECS = {
    "mnist-convnext": "bundled:mnist-convnext",
    **{
        name: f"{name}?weights={HERE / 'results' / name}.safetensors"
        for name in (
            "mnist-vit", "mnist-wrn-silu", "mnist-elu", "mnist-softplus",
            "cifar-convnext", "cifar-vit", "cifar-wrn-silu", "cifar-elu",
        )
    },
}  # fmt: skip
COLUMNS = ("index", "success", "forward_passes", "backward_passes", "seconds", "silent", "outside")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    mnist: Path | None = None
    """The folder of MNIST's four files; without it the first of the bundled test images, which are the same."""
    cifar10: Path | None = None
    """The folder of cifar10.npz; without it the CIFAR-10 networks are left out."""
    only: tuple[str, ...] = ()
    """Some of the networks."""
    limit: int = 200
    """Test images, from the first on."""
    seeds: int = 3
    peer_seeds: int = 1
    """Seeds of the peers, from the first on; they take most of the time."""
    passes: int = 216
    """Forward and backward passes an image of each single solver: 100 iterations of graduated gates."""
    budget: int = 1000
    """The most passes of the ensemble."""
    peers: tuple[str, ...] = PEERS
    batch_size: int = 100
    runs: Path = Path("runs/activations-attacked")
    out: Path = HERE / "results"


def networks(options: Options) -> list[str]:
    """Those that are asked for and have data."""
    return [
        name for name in options.only or SPECS if name.startswith("mnist") or options.cifar10 is not None
    ]  # fmt: skip


def entrants(options: Options, seed: int) -> list[Entrant]:
    """All that take part under one seed, the cheap ones first."""
    named = options.peers if seed < options.peer_seeds else ()
    solvers = schedules(seed) | OURS
    return own(solvers, options.passes, seed) + ensemble(options.budget, seed) + peers(named, seed)


def attack(options: Options, name: str, seed: int) -> pa.Table:
    """One network under one seed: a row an attack and image."""
    kind = name.partition("-")[0]
    folder = {"mnist": options.mnist, "cifar": options.cifar10}[kind]
    spec = f"{'mnist' if kind == 'mnist' else 'cifar10'}:{folder}" if folder else "bundled:mnist"
    images = load_data(spec, limit=options.limit)
    out = options.runs / name / f"seed-{seed}"
    taking_part = entrants(options, seed)
    with progress_bar() as bar:
        task = bar.add_task(name, total=len(images) * len(taking_part))
        run_matrix(
            {name: load_model(SPECS[name]).module}, images, taking_part, out, eps=[EPS[kind]], seed=seed,
            batch_size=options.batch_size, config={"data": kind, "limit": options.limit}, resume=out.exists(),
            advance=lambda what, count: bar.update(task, advance=count, description=what),
        )  # fmt: skip
    found = pq.read_table(out / "results.parquet")
    asked = pa.array([entrant.name for entrant in taking_part])
    found = found.filter(pa.compute.is_in(found["attack"], asked))  # a folder may hold more from another time
    place = {"network": [name] * len(found), "seed": [seed] * len(found), "attack": found["attack"]}
    return pa.table(place | {column: found[column] for column in COLUMNS})


def keep(options: Options, name: str, fresh: pa.Table) -> None:
    """Put a network's rows in the place of older ones of the same attacks, and write the page anew."""
    file = options.out / "attacks.parquet"
    tables = [fresh]
    if file.exists():
        known, again = pq.read_table(file), pa.compute.unique(fresh["attack"])
        same = pa.compute.and_(pa.compute.equal(known["network"], name), pa.compute.is_in(known["attack"], again))
        tables.insert(0, known.filter(pa.compute.invert(same)))
    whole = pa.concat_tables(tables).sort_by([("network", "ascending"), ("attack", "ascending"), ("seed", "ascending")])
    options.out.mkdir(parents=True, exist_ok=True)
    write_with(file, lambda path: pq.write_table(whole, path, compression="zstd"))
    write_text(options.out / "attacks.md", page(whole, EPS, options.out))


def main(options: Options) -> None:
    """Run what is missing, network by network, and write the table after each."""
    torch.set_num_threads(1)
    for name in networks(options):
        keep(options, name, pa.concat_tables([attack(options, name, seed) for seed in range(options.seeds)]))
    print(f"{options.out}/attacks.md")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
