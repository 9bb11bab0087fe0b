"""Latent codes by several solvers at equal passes, on published generators.

    python experiments/latent/study.py --folder FOLDER

FOLDER holds celeba_vae/model.pt, mnist_vae/model.pt and mnist_gan/G--300.ckpt (see generators.py for where they are
from). Two protocols: (a) targets that the generator makes from known codes, where the least error is zero; (b) test
images of MNIST, which no generator has seen. Every solver gets as many forward and backward passes as graduated
gates spend in 200 iterations, probes counted; the rate of each first-order peer is the best of a grid *for that
generator*, chosen on other targets. Parts that are there already are not repeated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro
from generators import gan, vae
from scipy.optimize import minimize
from torch import Tensor

from adrgd import GraduatedGates, Solver, load_data
from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.files import write_text, write_with
from adrgd.latent import parse_operator, reconstruct
from adrgd.latent.operators import Operator
from adrgd.latent.solvers import NAMED, latent_solver

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
GRIDS = {"gd": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), "adam": (0.03, 0.1, 0.2, 0.3, 0.5), "adr": (0.03, 0.1, 0.3, 1.0)}
LABELS = {
    "gd": "GD",
    "adam": "Adam",
    "lbfgs": "L-BFGS, 10 restarts",
    "adr": "ADR-GD",
    "graduated": "GraduatedADR, Adam steps",
    "graduated x 2": "GraduatedADR, Adam steps, 2 restarts",
    "graduated x 4": "GraduatedADR, Adam steps, 4 restarts",
}
OPERATORS = ("mask:0.5", "block:0.5", "blur:2", "down:4", "gaussian:100")
FOUND = 1e-4  # mean squared error below which a code counts as found


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    folder: Path
    targets: int = 64
    steps: int = 200
    """Of graduated gates; the others get as many passes."""
    seed: int = 0
    threads: int = 1
    out: Path = HERE / "results"


@dataclass(frozen=True)
class World:
    """A generator and the shape of its codes."""

    name: str
    generator: Callable[[Tensor], Tensor]
    code: int


def worlds(folder: Path) -> list[World]:
    return [
        World("CelebA VAE", vae(str(folder / "celeba_vae" / "model.pt")).requires_grad_(False), 10),
        World("MNIST VAE", vae(str(folder / "mnist_vae" / "model.pt")).requires_grad_(False), 10),
        World("MNIST GAN", gan(str(folder / "mnist_gan" / "G--300.ckpt")).requires_grad_(False), 64),
    ]


def made(world: World, count: int, seed: int) -> Tensor:
    """Images of codes that are known to exist."""
    with torch.no_grad():
        return world.generator(torch.randn(count, world.code, generator=torch.Generator().manual_seed(seed)))


def held_out(world: World, count: int) -> Tensor:
    """Test images of MNIST, in the generator's size."""
    images = load_data("bundled:mnist", limit=count).images
    side = made(world, 1, 0).shape[-1]
    return torch.nn.functional.pad(images, ((side - 28) // 2,) * 4)


def passes_of(steps: int) -> int:
    """What graduated gates spend on a row: forward and backward passes, a probe every fifth iteration included."""
    gates = GraduatedGates()
    probes = sum(t < gates.until * steps for t in range(0, steps, gates.probe_every))
    return 2 * steps + 1 + probes + 1


def run(
    world: World, targets: Tensor, solver: str, rate: float | None, options: Options, operator: Operator | None
) -> dict[str, Any]:
    """One solver on all targets: figures, and the mean error at each pass."""
    passes = passes_of(options.steps)
    began = time.perf_counter()
    if solver == "lbfgs":
        error, history, spent = lbfgs(world, targets, operator, passes, options.seed)
    else:
        solver, _, runs = solver.partition(" x ")
        restarts = int(runs or 1)
        per = restarts * {"graduated": passes / options.steps, "adr": 4}.get(solver, 2)
        found = reconstruct(
            world.generator, targets, operator=operator, solver=latent_solver(solver, rate=rate), code=world.code,
            steps=int(passes / per), restarts=restarts, seed=options.seed,
        )  # fmt: skip
        error = found.error if found.error is not None else found.residual
        spent, history = int((found.forwards + found.backwards)[0]), found.history.mean(1).tolist()
    return {
        "rate": rate, "found": float((error < FOUND).float().mean()), "mean": float(error.mean()),
        "median": float(error.median()), "psnr": float((-10 * error.log10()).clamp_max(100).mean()), "passes": spent,
        "seconds": time.perf_counter() - began, "history": history,
    }  # fmt: skip


class SpentError(Exception):
    """A start has had its share of the passes."""


def lbfgs(
    world: World, targets: Tensor, operator: Operator | None, passes: int, seed: int
) -> tuple[Tensor, list[float], int]:
    """SciPy's L-BFGS, target by target: ten random starts share the passes, one forward and one backward a value."""
    see = operator or (lambda images: images)
    random = torch.Generator().manual_seed(seed)
    errors, curves = [], []
    for target in targets:
        measured, best, curve = see(target[None]), (np.inf, np.zeros(world.code)), []
        ends: list[int] = []

        def value(
            z: Any, measured: Tensor = measured, curve: list[float] = curve, ends: list[int] = ends
        ) -> tuple[float, Any]:
            nonlocal best
            if len(curve) >= ends[-1]:
                raise SpentError
            point = torch.as_tensor(z, dtype=torch.float32)[None].requires_grad_(True)
            loss = (see(world.generator(point)) - measured).square().sum()
            (gradient,) = torch.autograd.grad(loss, point)
            best = min(best, (loss.item(), np.array(z)), key=lambda pair: pair[0])
            curve.append(best[0] / measured.numel())
            return loss.item(), gradient[0].double().numpy()

        for _ in range(10):
            start = torch.randn(world.code, generator=random).double().numpy()
            ends.append(len(curve) + passes // 20)
            with suppress(SpentError):
                minimize(value, start, jac=True, method="L-BFGS-B")
        with torch.no_grad():
            image = world.generator(torch.as_tensor(best[1], dtype=torch.float32)[None])
        errors.append((image - target).square().mean())
        curves.append(curve)
    length = max(map(len, curves))
    history = np.mean([curve + [curve[-1]] * (length - len(curve)) for curve in curves], axis=0)
    return torch.stack(errors), history.tolist(), 2 * length


def best_rate(world: World, solver: str, options: Options) -> float | None:
    """The rate of the grid with the most codes found, then the least mean error, on 32 other targets."""
    if solver not in GRIDS:
        return None
    trial = made(world, 32, options.seed + 1000)
    results = [(run(world, trial, solver, rate, options, None), rate) for rate in GRIDS[solver]]
    return min(results, key=lambda pair: (-pair[0]["found"], pair[0]["mean"]))[1]


def tasks(options: Options) -> list[tuple[str, str, str, str]]:
    """World, protocol, operator and solver of each part."""
    parts = [(w, "a", "identity", s) for w in ("CelebA VAE", "MNIST VAE", "MNIST GAN") for s in LABELS]
    parts += [(w, "b", "identity", s) for w in ("MNIST VAE", "MNIST GAN") for s in LABELS]
    parts += [("MNIST VAE", "b", o, s) for o in OPERATORS for s in ("adam", "graduated")]
    return parts + [
        (w, "a", "identity", "graduated, ReLU layers only") for w in ("CelebA VAE", "MNIST VAE", "MNIST GAN")
    ]


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "study.parquet"
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist() if file.exists() else []
    known = {world.name: world for world in worlds(options.folder)}
    rates: dict[tuple[str, str], float | None] = {(r["world"], r["solver"]): r["rate"] for r in rows}
    with progress_bar() as bar:
        for name, protocol, operator, solver in bar.track(tasks(options), description="latent"):
            key = {"world": name, "protocol": protocol, "operator": operator, "solver": solver}
            key |= {"targets": options.targets, "steps": options.steps, "seed": options.seed}
            if any(row.items() >= key.items() for row in rows):
                continue
            world = known[name]
            targets = (
                made(world, options.targets, options.seed + 7) if protocol == "a" else held_out(world, options.targets)
            )
            measure = None if operator == "identity" else parse_operator(operator)
            if solver.endswith("only"):
                result = only_relu(world, targets, options)
            else:
                if (name, solver) not in rates:
                    rates[name, solver] = best_rate(world, solver, options)
                result = run(world, targets, solver, rates[name, solver], options, measure)
            rows.append(key | result)
            write_with(file, partial(pq.write_table, pa.Table.from_pylist(rows), compression="zstd"))
            print(json.dumps({k: v for k, v in rows[-1].items() if k != "history"}), flush=True)
    write_report(rows, options)


def only_relu(world: World, targets: Tensor, options: Options) -> dict[str, Any]:
    """Graduated gates that leave the smooth output as it is."""
    layers = sum(isinstance(part, torch.nn.ReLU) for part in world.generator.modules())  # type: ignore[attr-defined]
    named: Solver = NAMED["graduated"]
    gates = replace(named.gates, layers=",".join(map(str, range(layers))))  # type: ignore[type-var]
    found = reconstruct(
        world.generator, targets, solver=replace(named, gates=gates), code=world.code, steps=options.steps,
        seed=options.seed,
    )  # fmt: skip
    error = found.residual
    return {
        "rate": None, "found": float((error < FOUND).float().mean()), "mean": float(error.mean()),
        "median": float(error.median()), "psnr": float((-10 * error.log10()).clamp_max(100).mean()),
        "passes": int((found.forwards + found.backwards)[0]), "seconds": found.seconds,
        "history": found.history.mean(1).tolist(),
    }  # fmt: skip


def write_report(rows: list[dict[str, Any]], options: Options) -> None:
    """The two tables, and error against passes."""
    made, real = ([row for row in rows if row["protocol"] == protocol] for protocol in "ab")
    made.sort(key=lambda row: row["world"])
    text = f"""# Latent codes at equal passes

`python experiments/latent/study.py --folder FOLDER`: {options.targets} targets, one start each (L-BFGS: ten), the
passes of {options.steps} iterations of graduated gates, seed {options.seed}, {options.threads} thread. The rate of each
first-order peer is the best of a grid for that generator, chosen on other targets. Found: mean squared error under
{FOUND:g}.

## (a) Targets that the generator makes

| generator | solver | rate | found | mean squared error | median | passes | seconds |
|---|---|---|---|---|---|---|---|
{_lines(made, "world", "solver", "rate", "found", "mean", "median", "passes", "seconds")}

## (b) Test images of MNIST

| generator | measured | solver | mean squared error | PSNR, dB | passes |
|---|---|---|---|---|---|
{_lines(real, "world", "operator", "solver", "mean", "psnr", "passes")}
"""
    write_text(options.out / "study.md", text)
    plt.rcParams["svg.hashsalt"] = "adrgd"
    names = sorted({row["world"] for row in made})
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names), 3.2), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for row in made:
            if row["world"] == name and row["solver"] in LABELS:
                x = np.linspace(0, row["passes"], len(row["history"]))
                axis.plot(x, row["history"], label=LABELS[row["solver"]], linewidth=1.4)
        axis.set(title=name, xlabel="forward and backward passes", yscale="log")
    axes[0][0].set_ylabel("mean squared error, best so far")
    axes[0][-1].legend(fontsize=7)
    figure.tight_layout()
    write_with(options.out / "study.svg", partial(figure.savefig, format="svg", metadata={"Date": None}))


def _lines(rows: list[dict[str, Any]], *keys: str) -> str:
    digits = {"found": ".2f", "mean": ".5f", "median": ".2g", "seconds": ".1f", "psnr": ".2f"}
    cells = [[_cell(row[key], digits.get(key, "")) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(value: Any, digits: str) -> str:
    return "-" if value is None else LABELS.get(value, value) if isinstance(value, str) else f"{value:{digits}}"


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
