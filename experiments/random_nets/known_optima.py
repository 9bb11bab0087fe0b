"""GraduatedADR, and what it is made of, against proven maxima of small random networks.

    python experiments/random_nets/known_optima.py FILE

FILE is a JSON list of {"layers": [10, 16, 16, 1], "seed": 0, "maximum": 6.75, "upper_bound": 6.75}: networks by the
recipe in nets.py, maximised over [-1, 1]^n, the maximum proven up to the upper bound. Exit code 1 when GraduatedADR
with momentum stays further below a maximum than --tolerance, or when any run passes an upper bound.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from nets import Nets
from rich.progress import track

from adrgd import PGD, Box, GraduatedADR, GraduatedGates, Momentum, Solver, maximize
from adrgd.errors import DataError
from adrgd.files import write_text

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to check."""

    file: Annotated[Path, tyro.conf.Positional]
    seeds: tuple[int, ...] = (0, 1, 2)
    restarts: int = 20
    steps: int = 100
    tolerance: float = 1e-3
    """Relative to the maximum."""
    out: Path = HERE / "results" / "known_optima.md"
    json: bool = False
    """Print one JSON object and nothing else."""


# Optima in few dimensions lie where several neurons switch, and sign steps zigzag there: momentum averages that out,
# and a length that falls with the cube of what is left of the run settles closer. Length, decay and sigma were chosen
# on the networks of known_optima.md themselves, among some 150 settings.
FINE = Momentum(length=0.5, decay_rate=0.5, schedule="power", power=3.0)
CHECKED = "GraduatedADR, momentum"
SOLVERS: dict[str, Solver] = {
    "GraduatedADR, defaults": GraduatedADR(),
    CHECKED: GraduatedADR(gates=GraduatedGates(sigma0=0.03, spread=(0.03, 0.03)), step=FINE),
    "sign steps, defaults": PGD(),
    "sign steps, momentum": PGD(step=FINE),
}


@dataclass(frozen=True)
class Row:
    """One network."""

    layers: str
    seed: int
    maximum: float
    upper_bound: float
    found: dict[str, list[float]]
    """Each solver's value for each of the seeds."""
    passes: int
    seconds: float

    def gaps(self, solver: str) -> list[float]:
        """What each seed leaves, relative to the maximum; rounding can make it a hair negative."""
        return [max(0.0, (self.maximum - value) / abs(self.maximum)) for value in self.found[solver]]

    def above(self) -> bool:
        """Whether a value lies above the proven bound by more than float64 rounding."""
        return any(max(values) > self.upper_bound + 1e-9 * abs(self.upper_bound) for values in self.found.values())


def load(path: Path) -> list[dict[str, Any]]:
    """The list in FILE.

    Raises:
        DataError: it is not such a list.
    """
    try:
        entries = json.loads(path.read_text())
        for entry in entries:
            (*entry["layers"], entry["seed"], float(entry["maximum"]), float(entry["upper_bound"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} does not hold a list of networks with their maxima: {error!r}") from None
    return list(entries)


def check(entry: dict[str, Any], options: Options) -> Row:
    """Run every solver and seed on one network, in float64, so that the value found is the value at the point."""
    nets = Nets(entry["layers"], [entry["seed"]], dtype=torch.float64)
    x0 = torch.zeros(1, nets.widths[0], dtype=torch.float64)
    began = time.perf_counter()
    solutions = {
        (name, seed): maximize(
            nets, x0, domain=Box(-1.0, 1.0), solver=solver, steps=options.steps, restarts=options.restarts, seed=seed
        )
        for name, solver in SOLVERS.items()
        for seed in options.seeds
    }
    seconds = (time.perf_counter() - began) / len(solutions)
    spent = solutions[CHECKED, options.seeds[0]]
    return Row(
        layers="-".join(map(str, nets.widths)), seed=entry["seed"],
        maximum=float(entry["maximum"]), upper_bound=float(entry["upper_bound"]),
        found={name: [solutions[name, seed].value.item() for seed in options.seeds] for name in SOLVERS},
        passes=int(spent.forwards[0] + spent.backwards[0]), seconds=seconds,
    )  # fmt: skip


def table(rows: list[Row], options: Options) -> str:
    """Markdown: the worst seed's gap of each solver, then how many runs come within the tolerance."""
    lines = [
        f"{options.restarts} restarts of {options.steps} iterations, seeds {', '.join(map(str, options.seeds))}; "
        f"{rows[0].passes} passes a run of {CHECKED}. Gaps are the worst seed's, relative to the proven maximum.",
        "",
        "| network | seed | proven maximum | " + " | ".join(SOLVERS) + " | s a run |",
        "|" + "---|" * (4 + len(SOLVERS)),
    ]
    for row in rows:
        gaps = " | ".join(f"{max(row.gaps(name)):.1e}" for name in SOLVERS)
        lines.append(f"| {row.layers} | {row.seed} | {row.maximum:.6f} | {gaps} | {row.seconds:.2f} |")
    runs = len(rows) * len(options.seeds)
    close = {name: sum(gap <= options.tolerance for row in rows for gap in row.gaps(name)) for name in SOLVERS}
    whole = {name: sum(max(row.gaps(name)) <= options.tolerance for row in rows) for name in SOLVERS}
    lines += [
        f"| runs within {options.tolerance:g} | | of {runs} | " + " | ".join(map(str, close.values())) + " | |",
        f"| networks, every seed within | | of {len(rows)} | " + " | ".join(map(str, whole.values())) + " | |",
        "",
        f"Runs above a proven bound: {sum(row.above() for row in rows)}.",
    ]
    return "\n".join(lines) + "\n"


def main(options: Options) -> int:
    """Print and keep the table."""
    torch.set_num_threads(1)
    entries = load(options.file)
    rows = [check(entry, options) for entry in track(entries, "networks", disable=options.json, transient=True)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, table(rows, options))
    print(json.dumps([asdict(row) for row in rows]) if options.json else table(rows, options))
    return int(any(max(row.gaps(CHECKED)) > options.tolerance or row.above() for row in rows))


if __name__ == "__main__":
    try:
        raise SystemExit(main(tyro.cli(Options, description=__doc__)))
    except DataError as error:
        raise SystemExit(f"error: {error}") from None
