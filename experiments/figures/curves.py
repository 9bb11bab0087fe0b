"""Best value so far against passes spent, for many methods, on the networks and with the settings of the study.

Each method does 20 runs of 100 iterations, the first from 0 and the others from random points. They are computed side
by side and counted as if one had followed the other. The published ADR-GD run, 3000 iterations from 0, stands beside
them. Values become gaps: shares of the best value known on the same network, so that networks can be averaged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import paths
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from methods import METHODS
from nets import MODELS, Nets
from numpy.typing import NDArray
from rich.progress import track
from study import FULL, chosen
from torch import Tensor

from adrgd import Box, Solver, maximize
from adrgd.solvers import SETTINGS, preset
from adrgd.watch import WatchedGates

RESTARTED = ("graduated", "graduated-default", "sign", "leaky", "sigmoid", "adam", "gd", "adr")
PUBLISHED = "adr, one run"
RUNS, STEPS = 20, 100
Array = NDArray[np.float64]


@dataclass
class Latest:
    """An objective that remembers its last answer: in the end, the values of the last iterates."""

    nets: Nets
    value: Tensor | None = None

    def __call__(self, x: Tensor, rows: Tensor) -> Tensor:
        out = self.nets(x, rows)
        self.value = out.detach()
        return out


def course(nets: Nets, solver: Solver, steps: int, runs: int) -> tuple[Array, Array]:
    """Passes spent (points,) and the best value so far (points, nets), over the runs laid one after another."""
    gates, objective = WatchedGates(solver.gates), Latest(nets)
    x0 = torch.zeros(len(nets), nets.widths[0])
    solution = maximize(
        objective, x0, domain=Box(-1, 1), solver=replace(solver, gates=gates), steps=steps, restarts=runs, check=False
    )
    assert objective.value is not None
    values = torch.stack([*gates.values, objective.value]).view(steps + 1, runs, len(nets)).transpose(0, 1)
    total = float(solution.forwards[0] + solution.backwards[0]) / runs
    spent = np.linspace(1, total, steps + 1) + total * np.arange(runs)[:, None]  # one forward pass for the first value
    return spent.ravel(), np.maximum.accumulate(values.reshape(-1, len(nets)).double().numpy())


def sampled(spent: Array, best: Array) -> tuple[Array, Array]:
    """The same course at passes evenly spaced on a logarithmic axis, from 10 to the last."""
    at = np.geomspace(10, spent[-1], 150)
    return at, best[np.searchsorted(spent, at * 1.000001, side="right") - 1]


def setting(parts: Path, model: str, method: str) -> Solver:
    """The solver that the study chose on its tuning networks, by the best of several runs."""
    tuned = parts / f"{model}.tune.{method}.parquet"
    if not tuned.exists():
        raise SystemExit(f"{tuned} is missing: run experiments/random_nets/run.py first")
    return METHODS[method].settings(model)[chosen(pq.read_table(tuned), "best")]


def best_known(parts: Path, model: str, found: list[Array]) -> Array:
    """The largest value of each network, over these runs and all finished parts of the study."""
    known: Array = np.max([best[-1] for best in found], axis=0)
    for part in parts.glob(f"{model}.*.parquet"):
        if ".tune." not in part.name:
            table = pq.read_table(part, columns=["net", "best"])
            np.maximum.at(known, table["net"].to_numpy(), table["best"].to_numpy())
    return known


def file(model: str) -> Path:
    """Where the curves of a model are kept."""
    return paths.RESULTS / f"passes-{model}.parquet"


def measure(model: str, parts: Path) -> None:
    """Run everything on one model's networks and write the mean gap and its standard error, for every curve."""
    torch.set_num_threads(1)
    nets = Nets(MODELS[model], range(FULL.nets[model]))
    solvers = {method: setting(parts, model, method) for method in RESTARTED}
    courses = {
        method: course(nets, solver, STEPS, RUNS)
        for method, solver in track(solvers.items(), description=f"value against passes, model {model}")
    }
    name = f"random-{model.lower()}"
    courses[PUBLISHED] = course(nets, preset(f"paper-{name}"), SETTINGS[name].T, 1)
    known = best_known(parts, model, [best for _, best in courses.values()])
    points = []
    for method, (spent, best) in courses.items():
        at, best = sampled(spent, best)
        gap = 1 - best / known
        error = gap.std(1, ddof=1) / len(nets) ** 0.5
        for passes, mean, spread in zip(at, gap.mean(1), error, strict=True):
            points.append({"method": method, "nets": len(nets), "passes": passes, "gap": mean, "error": spread})
    paths.RESULTS.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(points), file(model))
