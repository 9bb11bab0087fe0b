"""The steepness of the sigmoid surrogate, measured: ADR-GD with four values of alpha, and GD, on random networks.

The paper's protocol: x starts at 0, ADR-GD counts by the best of its T iterates and GD by its last one. GD takes
normalised steps of ADR-GD's own length.
"""

from __future__ import annotations

from dataclasses import replace

import paths
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from nets import MODELS, Nets
from rich.progress import track

from adrgd import ADRGD, Box, NormalisedGD, Solver
from adrgd.solvers import SETTINGS, preset
from adrgd.watch import follow

ALPHAS = (20, 200, 2000, 20000)
NETS = {"A": 50, "C": 10}
FILE = paths.RESULTS / "alpha.parquet"


def solvers(model: str) -> dict[int, Solver]:
    """ADR-GD by alpha; GD stands at 0."""
    adr = preset(f"paper-random-{model.lower()}")
    by_alpha: dict[int, Solver] = {0: NormalisedGD(step=adr.step)}
    return by_alpha | {alpha: ADRGD(gates=replace(adr.gates, alpha=alpha), step=adr.step) for alpha in ALPHAS}


def measure() -> None:
    """Run every solver on every network and write one line for each."""
    torch.set_num_threads(1)
    lines = []
    jobs = [(model, alpha, solver) for model in NETS for alpha, solver in solvers(model).items()]
    for model, alpha, solver in track(jobs, description="alpha ablation"):
        nets = Nets(MODELS[model], range(NETS[model]))
        steps = SETTINGS[f"random-{model.lower()}"].T
        path = follow(nets, torch.zeros(len(nets), MODELS[model][0]), Box(-1, 1), solver, steps)
        with torch.no_grad():
            last = nets(path.points[-1], torch.arange(len(nets)))
        for seed, best, end in zip(nets.seeds, path.solution.value.tolist(), last.tolist(), strict=True):
            lines.append({"model": model, "alpha": alpha, "net": seed, "steps": steps, "best": best, "last": end})
    FILE.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(lines), FILE)
