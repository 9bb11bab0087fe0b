"""What an attack costs and breaks: time an iteration against PGD's, peak memory, success over seeds. One thread.

    python benchmarks/attack_cost.py                # the bundled robust network
    python benchmarks/attack_cost.py --model 'mnist-cnn?weights=FILE' --data mnist:FOLDER --eps 0.2 --name NAME

Times are processor seconds, medians over repetitions in which the solvers take turns; memory is the peak resident set
of a process that does nothing else. Results go to benchmarks/results/NAME.md and .json.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.progress import track
from turns import seconds_each

import adrgd
from adrgd import Box, LinfBall, Misclassify, Solution

SOLVERS = ("pgd", "graduated", "graduated-secant", "adr:paper")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    model: str = "bundled:mnist-pgd"
    data: str = "bundled:mnist"
    limit: int = 300
    """Images for the success rates."""
    eps: float = 0.25
    batch_size: int = 128
    """Images for the times."""
    memory_batch: int = 2000
    """Images for the peak memory, so that the network's activations outweigh the program."""
    repeat: int = 5
    """Repetitions of each time."""
    steps: tuple[int, ...] = (50, 100)
    """Budgets for the success rates; the times are taken at the first."""
    seeds: int = 4
    """Success rates are means over seeds 0 .. N-1."""
    name: str = "attack_cost"
    """Of the files under benchmarks/results."""
    json: bool = False
    """Print the results as one JSON object and nothing else."""
    memory_of: str | None = None
    """Only run that solver once and print the peak memory (used by the benchmark itself)."""


Run = Callable[..., Solution]


def runner(options: Options) -> Run:
    """Attack a batch of images with a named solver."""
    model = adrgd.load_model(options.model)

    def run(solver: str, images: adrgd.Images, *, steps: int, seed: int = 0, stop: bool = True) -> Solution:
        return adrgd.maximize(
            Misclassify(model, images.labels), images.images,
            domain=LinfBall(images.images, options.eps, Box(0.0, 1.0)),
            solver=adrgd.make_solver(solver), steps=steps, seed=seed, stop_at_goal=stop, check=False,
        )  # fmt: skip

    return run


def times(options: Options, run: Run, quiet: bool) -> dict[str, float]:
    """Median processor seconds of an iteration on one batch, nothing being dropped."""
    images = adrgd.load_data(options.data, limit=options.batch_size)
    steps = options.steps[0]
    jobs = {name: partial(run, name, images, steps=steps, stop=False) for name in SOLVERS}
    return {name: value / steps for name, value in seconds_each(jobs, repeat=options.repeat, quiet=quiet).items()}


def memory(options: Options) -> dict[str, float]:
    """Peak resident memory in MiB, each solver in a process of its own."""
    found = {}
    for name in SOLVERS:
        words = ["--model", options.model, "--data", options.data, "--eps", str(options.eps), "--memory-of", name]
        words += ["--memory-batch", str(options.memory_batch)]
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
        found[name] = float(done.stdout)
    return found


def repeated(images: adrgd.Images, count: int) -> adrgd.Images:
    """As many images as asked for, over and over when there are fewer."""
    at = torch.arange(count) % len(images)
    return dataclasses.replace(images, images=images.images[at], labels=images.labels[at], index=images.index[at])


def success(options: Options, run: Run, quiet: bool) -> dict[str, dict[str, list[float]]]:
    """Share of images broken, clean errors included, for each budget and seed."""
    images = adrgd.load_data(options.data, limit=options.limit)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in SOLVERS}
    jobs = [(name, steps, seed) for name in SOLVERS for steps in options.steps for seed in range(options.seeds)]
    for name, steps, seed in track(jobs, "success", disable=quiet):
        rate = run(name, images, steps=steps, seed=seed).reached.float().mean().item()
        found[name].setdefault(str(steps), []).append(round(rate, 4))
    return found


def markdown(options: Options, result: dict[str, Any]) -> str:
    budgets = [str(steps) for steps in options.steps]
    head = ["solver", "ms an iteration", "times PGD's", "peak MiB", "times PGD's"]
    head += [f"broken, {steps} iterations (seeds)" for steps in budgets]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name in SOLVERS:
        ms, mib = 1000 * result["seconds"][name], result["peak_mib"][name]
        cells = [
            name,
            f"{ms:.1f}",
            f"{result['time_ratio'][name]:.2f}",
            f"{mib:.0f}",
            f"{result['memory_ratio'][name]:.2f}",
        ]
        for steps in budgets:
            rates = result["success"][name][steps]
            cells.append(f"**{statistics.mean(rates):.4f}** ({', '.join(f'{rate:.4f}' for rate in rates)})")
        lines.append(f"| {' | '.join(cells)} |")
    what = (
        f"`{Path(options.model.rpartition('=')[2]).name}`, linf {options.eps:g}; time on a batch of "
        f"{options.batch_size}, memory on one of {options.memory_batch}, success on the first {options.limit} images; "
        f"torch {torch.__version__}, {platform.machine()}, one thread."
    )
    return f"# What an attack costs\n\n{what}\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    options = tyro.cli(Options, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    torch.set_num_threads(1)
    run = runner(options)
    if options.memory_of is not None:
        images = adrgd.load_data(options.data, limit=options.memory_batch)
        run(options.memory_of, repeated(images, options.memory_batch), steps=12, stop=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    seconds, peak = times(options, run, options.json), memory(options)
    result = {
        "model": Path(options.model.rpartition("=")[2]).name, "eps": options.eps, "limit": options.limit,
        "batch_size": options.batch_size, "memory_batch": options.memory_batch, "seeds": options.seeds,
        "torch": torch.__version__,
        "seconds": seconds, "time_ratio": {name: value / seconds["pgd"] for name, value in seconds.items()},
        "peak_mib": peak, "memory_ratio": {name: value / peak["pgd"] for name, value in peak.items()},
        "success": success(options, run, options.json),
    }  # fmt: skip
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{options.name}.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / f"{options.name}.md").write_text(markdown(options, result))
    print(json.dumps(result) if options.json else markdown(options, result))


if __name__ == "__main__":
    main()
