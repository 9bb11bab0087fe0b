"""The study's two kinds of work: choosing a method's setting on tuning nets, and running it under a protocol."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pyarrow as pa
import torch
from methods import METHODS
from nets import MODELS, Nets
from protocols import Criterion, Protocol, iterations_within
from torch import Tensor

from adrgd import Box, Solver, maximize

FIRST_TUNING_SEED = 1000  # of the nets on which settings are chosen; the tables' nets have seeds from 0
TRACE = 200  # points kept of every run's course


@dataclass(frozen=True)
class Size:
    """How much is run."""

    nets: dict[str, int]
    tuning_nets: dict[str, int]
    tuning_starts: int
    tuning_steps: int
    last_steps: int
    """Iterations of the runs by which methods are tuned that report their last iterate."""


FULL = Size({"A": 50, "B": 20, "C": 20}, {"A": 20, "B": 4, "C": 4}, 16, 200, 1000)
QUICK = Size({"A": 5, "B": 2, "C": 2}, {"A": 2, "B": 1, "C": 1}, 2, 30, 50)


@dataclass(frozen=True)
class Runs:
    """What came out, one row a net and start."""

    value: Tensor
    last: Tensor
    history: Tensor
    """(points, rows): the best value so far at evenly spaced iterations."""
    forwards: Tensor
    backwards: Tensor
    seconds: float


class _Watched:
    """Remembers the values of the latest evaluation: at the end, those of the last iterate."""

    def __init__(self, nets: Nets) -> None:
        self.nets, self.latest = nets, torch.empty(0)

    def __call__(self, x: Tensor, rows: Tensor) -> Tensor:
        value = self.nets(x, rows)
        self.latest = value.detach()
        return value


def solve(nets: Nets, solver: Solver, steps: int, *, restarts: int = 1, starts: int = 0, seed: int = 0) -> Runs:
    """Maximise every net over [-1, 1]^n from zero, or from `starts` random points each."""
    watched = _Watched(nets)
    x0 = torch.zeros(len(nets) * max(starts, 1), nets.widths[0])
    solution = maximize(
        watched, x0, domain=Box(-1.0, 1.0), solver=replace(solver, random_start=starts > 0), steps=steps,
        restarts=restarts, seed=seed, check=False, history=True,
    )  # fmt: skip
    assert solution.history is not None
    points = torch.linspace(0, steps, min(TRACE, steps + 1)).round().long()
    return Runs(
        value=solution.value, last=watched.latest.view(restarts, -1)[0], history=solution.history[points],
        forwards=solution.forwards, backwards=solution.backwards, seconds=solution.seconds,
    )  # fmt: skip


def tune(model: str, method: str, size: Size, seed: int) -> pa.Table:
    """Every setting of the method on the tuning nets, by each criterion."""
    nets = tuning_nets(model, size)
    rows = []
    for label, solver in METHODS[method].settings(model).items():
        runs = solve(nets, solver, size.tuning_steps, starts=size.tuning_starts, seed=seed)
        value = runs.value.view(size.tuning_starts, -1).double()
        last = float("nan")
        if METHODS[method].last:
            last = solve(nets, solver, size.last_steps, seed=seed).last.double().mean().item()
        rows.append({
            "model": model, "method": method, "setting": label, "steps": size.tuning_steps,
            "mean": value.mean().item(), "best": value.amax(0).mean().item(), "last": last,
        })  # fmt: skip
    return pa.Table.from_pylist(rows)


def chosen(tuned: pa.Table, criterion: Criterion) -> str:
    """The label of the best setting by this criterion."""
    values = tuned[criterion].to_pylist()
    return str(tuned["setting"][values.index(max(values))].as_py())


def run(model: str, name: str, protocol: Protocol, method: str, tuned: pa.Table, size: Size, seed: int) -> pa.Table:
    """A method under a protocol on the study's nets."""
    how = METHODS[method]
    settings = how.settings(model)
    paper = name == "paper"
    label = chosen(tuned, "last" if paper and how.last else protocol.criterion)
    if how.published:  # in earnest beside the tuned setting, whose choice at another run length may not carry over
        published = next(iter(settings))
        labels = [published] if paper else [published, label]
    else:
        labels = [label]
    label, restarts, steps = _best_use(model, protocol, {label: settings[label] for label in labels}, size, seed)
    solver = settings[label]
    nets = Nets(MODELS[model], range(size.nets[model]))
    began = time.perf_counter()
    runs = solve(nets, solver, steps, restarts=restarts, starts=protocol.starts, seed=seed)
    seconds = time.perf_counter() - began
    rows = len(runs.value)
    return pa.table({
        "model": [model] * rows, "protocol": [name] * rows, "method": [method] * rows, "setting": [label] * rows,
        "seed": [seed] * rows, "net": [nets.seeds[row % len(nets)] for row in range(rows)],
        "start": [row // len(nets) for row in range(rows)], "restarts": [restarts] * rows, "steps": [steps] * rows,
        "value": (runs.last if paper and how.last else runs.value).double().numpy(),
        "best": runs.value.double().numpy(),
        "forwards": runs.forwards.numpy(), "backwards": runs.backwards.numpy(), "seconds": [seconds / rows] * rows,
        "history": runs.history.T.contiguous().tolist(),
    })  # fmt: skip


def _best_use(
    model: str, protocol: Protocol, settings: dict[str, Solver], size: Size, seed: int
) -> tuple[str, int, int]:
    """The setting, restarts and iterations that do best on the tuning nets under this very protocol."""
    uses = [
        (label, restarts, protocol.iterations or iterations_within(solver, protocol.passes // restarts))
        for label, solver in settings.items()
        for restarts in protocol.restarts
    ]
    if len(uses) == 1:
        return uses[0]
    nets = tuning_nets(model, size)
    found = [
        solve(nets, settings[label], steps, restarts=restarts, starts=protocol.starts, seed=seed).value.mean().item()
        for label, restarts, steps in uses
    ]
    return uses[found.index(max(found))]


def tuning_nets(model: str, size: Size) -> Nets:
    return Nets(MODELS[model], range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + size.tuning_nets[model]))
