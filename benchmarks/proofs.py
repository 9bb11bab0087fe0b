"""Both verdicts on random small networks against a mixed-integer program: no verdict may be wrong.

    python benchmarks/proofs.py                    # 10,000 networks
    python benchmarks/proofs.py --stop-after 300   # and again, until all are done

Every network (2 to 7 inputs, one to three layers of 3 to 9 ReLUs) gets a property with up to three cases of up to three
constraints, shifted so that it only just holds or only just does not: by 10^-5 to 0.3, drawn. HiGHS tells which.
Both ways of splitting, inputs and neurons (these with maps in either precision), get the same seconds. Results go to
benchmarks/results/proofs.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import nn

from adrgd.bounds.backward import Boxes
from adrgd.bounds.reading import read_network
from adrgd.files import write_text
from adrgd.proof.claims import Claims
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.outcome import Outcome

RESULTS = Path(__file__).parent / "results"
BEYOND = 1e4  # no value of these networks is as large
EACH = 20  # networks that are kept together
WAYS: dict[str, Any] = {"inputs": InputSplit, "neurons": NeuronSplit, "neurons, maps in float32": NeuronSplit}
Array = Any


@dataclass(frozen=True, kw_only=True)
class Options:
    """How many, and for how long."""

    networks: int = 10_000
    """Random networks, by the seeds 0, 1, ..."""
    seconds: float = 2.0
    """For each proof."""
    stop_after: float | None = None
    """Seconds after which no further network is begun."""
    work: Path = Path("runs/benchmark-proofs")
    """Finished networks."""


def least(layers: list[nn.Linear], lower: Array, upper: Array, on_outputs: Array) -> float | None:
    """The minimum over the box of the largest row; None where HiGHS fails."""
    sides = list(zip(lower, upper, strict=True))
    whole = [0] * len(sides)
    rows: list[tuple[dict[int, float], float, float]] = []
    current = list(range(len(sides)))
    low, high = lower, upper
    for layer in layers[:-1]:
        weight, bias = layer.weight.numpy(), layer.bias.numpy()
        middle, reach = weight @ ((low + high) / 2) + bias, abs(weight) @ ((high - low) / 2)
        low, high = middle - reach, middle + reach
        following = []
        for j, (least_h, most_h) in enumerate(zip(low, high, strict=True)):
            z = len(sides)
            sides.append((max(0.0, least_h) - 1e-9, max(0.0, most_h) + 1e-9))
            whole.append(0)
            h = {v: -weight[j, i] for i, v in enumerate(current)}
            if least_h >= 0:
                rows.append(({**h, z: 1.0}, bias[j], bias[j]))
            elif most_h > 0:
                active = len(sides)
                sides.append((0.0, 1.0))
                whole.append(1)
                rows.append(({**h, z: 1.0}, bias[j], np.inf))
                rows.append(({**h, z: 1.0, active: -least_h}, -np.inf, bias[j] - least_h))
                rows.append(({z: 1.0, active: -most_h}, -np.inf, 0.0))
            following.append(z)
        current, low, high = following, np.maximum(low, 0), np.maximum(high, 0)
    top = len(sides)
    sides.append((-BEYOND, BEYOND))
    whole.append(0)
    last, constant = on_outputs @ layers[-1].weight.numpy(), on_outputs @ layers[-1].bias.numpy()
    for row, offset in zip(last, constant, strict=True):
        rows.append(({**{v: -row[i] for i, v in enumerate(current)}, top: 1.0}, offset, np.inf))
    matrix = np.zeros((len(rows), len(sides)))
    for at, (coefficients, _, _) in enumerate(rows):
        for v, value in coefficients.items():
            matrix[at, v] += value
    objective = np.zeros(len(sides))
    objective[top] = 1.0
    found = milp(
        objective, integrality=whole, bounds=Bounds([a for a, _ in sides], [b for _, b in sides]),
        constraints=LinearConstraint(matrix, [a for _, a, _ in rows], [b for _, _, b in rows]),
        options={"mip_rel_gap": 1e-9},
    )  # fmt: skip
    return float(found.fun) if found.status == 0 else None


def verdicts(seed: int, seconds: float) -> dict[str, str]:
    """The truth and what each way of splitting says of one network; empty where HiGHS fails."""
    random = np.random.default_rng(seed)
    inputs, outputs = int(random.integers(2, 8)), int(random.integers(1, 4))
    widths = [inputs, *(int(n) for n in random.integers(3, 10, size=random.integers(1, 4))), outputs]
    torch.manual_seed(seed)
    pairs = itertools.pairwise(widths)
    layers = [nn.Linear(before, after, dtype=torch.float64).requires_grad_(False) for before, after in pairs]
    for layer in layers:
        layer.weight *= 2
        layer.bias *= 2
    net = nn.Sequential(*(part for layer in layers[:-1] for part in (layer, nn.ReLU())), layers[-1])
    lower = random.uniform(-1, 0, inputs)
    upper = lower + random.uniform(0, 1.5, inputs)
    cases, rows = int(random.integers(1, 4)), int(random.integers(1, 4))
    on_outputs = random.normal(size=(cases, rows, outputs))
    optima = [least(layers, lower, upper, case) for case in on_outputs]
    if None in optima:
        return {}
    optimum = min(value for value in optima if value is not None)
    shift = optimum + random.choice([-1, 1]) * 10 ** random.uniform(-5, -0.5)
    boxes = Boxes(*(torch.tensor(corner).repeat(cases, 1) for corner in (lower, upper)))
    offset = torch.full((cases, rows), -shift, dtype=torch.float64)
    claims = Claims(boxes, torch.tensor(on_outputs), None, offset, torch.ones(cases, rows, dtype=torch.bool))
    network = {name: read_network(net, torch.zeros(1, inputs), entries=0 if "32" in name else None) for name in WAYS}
    said = {"truth": "sat" if optimum < shift else "unsat"}
    for name, way in WAYS.items():
        said[name] = _word(way(network[name], claims, lambda x: True).run(time.monotonic() + seconds))
    return said


def _word(outcome: Outcome) -> str:
    return "sat" if outcome.found else "unsat" if outcome.proven else "undecided"


def page(counts: Counter[str], options: Options) -> str:
    """The result as Markdown."""
    lines = ["| split | property | sat | unsat | undecided |", "|---|---|---|---|---|"]
    for way in WAYS:
        for truth in ("sat", "unsat"):
            cells = [str(counts[f"{way} {truth} {said}"]) for said in ("sat", "unsat", "undecided")]
            lines.append(f"| {way} | {truth} | {' | '.join(cells)} |")
    wrong = sum(counts[f"{way} {a} {b}"] for way in WAYS for a, b in (("sat", "unsat"), ("unsat", "sat")))
    return f"""# Both verdicts on random networks, against a mixed-integer program

`python benchmarks/proofs.py --networks {options.networks} --seconds {options.seconds:g}`

{counts["networks"]} networks; HiGHS failed on {counts["failed"]} more. Wrong verdicts: {wrong}.

{chr(10).join(lines)}
"""


def main(options: Options) -> None:
    """Try what is missing, then write the table."""
    options.work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    total: Counter[str] = Counter()
    for start in range(0, options.networks, EACH):
        file = options.work / f"{start:06d}.json"
        if not file.exists():
            if time.monotonic() - began > (options.stop_after or float("inf")):
                continue
            counts: Counter[str] = Counter()
            for seed in range(start, min(start + EACH, options.networks)):
                said = verdicts(seed, options.seconds)
                counts["networks" if said else "failed"] += 1
                for way in WAYS if said else ():
                    counts[f"{way} {said['truth']} {said[way]}"] += 1
            write_text(file, json.dumps(counts) + "\n")
            print(start, dict(counts), flush=True)
        total.update(json.loads(file.read_text()))
    text = page(total, options)
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / "proofs.md", text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
