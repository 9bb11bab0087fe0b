"""What Ray workers are worth: images a second by one process, by one worker and by two, of one thread each.

    python benchmarks/ray_throughput.py

The three take turns in every round, and each ratio is taken within a round. Two kinds of seconds are given: those of
the wall, and those of the wall less the time for which a worker was ready but other programs had the processor, as
Linux counts it (schedstat); the second kind is what a machine without other work would show. Where the workers leave
no processor free, what Ray's own processes and this one spend is added to it. Starting Ray and the workers' imports are
not counted. All results are compared bit for bit. Results go to benchmarks/results/ray_throughput.md and .json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import contextlib
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
import tyro
from rich.progress import track

import adrgd
from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.attacks.batches import Batch, split
from adrgd.attacks.ray_workers import RayWorkers


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    model: str = "bundled:mnist-pgd"
    data: str = "bundled:mnist"
    limit: int = 200
    eps: float = 0.25
    steps: int = 50
    batch_size: int = 10
    rounds: int = 5
    workers: int = 2
    """Compared with one."""
    json: bool = False
    """Print the results as one JSON object and nothing else."""


@dataclass(frozen=True)
class Timed:
    """One pass over the images.

    Attributes:
        wall: images a second.
        free: images a second had no other program taken the workers' processors.
        found: the adversarial inputs, in the images' order.
    """

    wall: float
    free: float
    found: torch.Tensor


@dataclass(frozen=True)
class Use:
    """Seconds that a process has run, and that its main thread was ready to run and had to wait."""

    ran: float
    waited: float
    is_worker: bool

    def since(self, before: Use | None) -> Use:
        return self if before is None else Use(self.ran - before.ran, self.waited - before.waited, self.is_worker)


Found = list[tuple[int, torch.Tensor]]


def here(model: torch.nn.Module, attack: Attack, batches: list[Batch]) -> Timed:
    """This process, without Ray."""

    def work() -> Found:
        results = [attack_batch(model, one.images, one.labels, attack, index=one.index) for one in batches]
        return [(one.start, result.adversarial) for one, result in zip(batches, results, strict=True)]

    return timed(work, batches)


def by_ray(count: int, model: torch.nn.Module, attack: Attack, batches: list[Batch]) -> Timed:
    """A session of `count` processors of its own, warmed up before the clock starts."""

    def work() -> Found:
        return [(one.start, result.adversarial) for one, result in RayWorkers()(model, attack, batches)]

    ray.init(address="local", num_cpus=count, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        list(RayWorkers()(model, attack, batches[: 4 * count]))
        return timed(work, batches)
    finally:
        ray.shutdown()


def timed(work: Callable[[], Found], batches: list[Batch]) -> Timed:
    before, began = used(), time.perf_counter()
    found = work()
    wall = time.perf_counter() - began
    spent = {pid: use.since(before.get(pid)) for pid, use in used().items()}
    workers = [use for use in spent.values() if use.is_worker and use.ran > 0.1 * wall]
    free = wall - statistics.mean(use.waited for use in workers or [spent[os.getpid()]])
    if len(workers) >= (os.cpu_count() or 1):
        free += sum(use.ran for use in spent.values() if use not in workers) / len(workers)
    images = sum(map(len, batches))
    return Timed(images / wall, images / free, torch.cat([x for _, x in sorted(found, key=lambda pair: pair[0])]))


def used() -> dict[int, Use]:
    """What this process and all that descend from it have used so far."""
    parents, uses = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process that has just ended
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    for pid in parents:
        line = [pid]
        while line[-1] in parents:
            line.append(parents[line[-1]])
        if os.getpid() in line:
            with contextlib.suppress(OSError):
                uses[pid] = use_of(Path(f"/proc/{pid}"))
    return uses


def use_of(folder: Path) -> Use:
    ran = sum(int(file.read_text().split()[0]) for file in folder.glob("task/*/schedstat"))
    waited = int((folder / "schedstat").read_text().split()[1])
    return Use(ran / 1e9, waited / 1e9, (folder / "cmdline").read_bytes().startswith(b"ray::"))


def to_one(rates: dict[str, list[float]], one: str) -> dict[str, list[float]]:
    """Each rate divided by that of one worker in the same round."""
    return {name: [a / b for a, b in zip(rates[name], rates[one], strict=True)] for name in rates}


def spread(values: list[float]) -> str:
    return f"**{statistics.median(values):.2f}** ({', '.join(f'{value:.2f}' for value in values)})"


def markdown(options: Options, result: dict[str, Any]) -> str:
    lines = [
        "| who | images a second, wall | to one worker | images a second, not waiting for processors | to one worker |",
        "|---|---|---|---|---|",
    ]
    for name in result["wall"]:
        cells = [spread(result[kind][name]) for kind in ("wall", "wall_ratio", "free", "free_ratio")]
        lines.append(f"| {' | '.join([name, *cells])} |")
    what = (
        f"`{options.model}`, linf {options.eps:g}, graduated, {options.steps} iterations, nothing dropped; "
        f"{options.limit} images in batches of {options.batch_size}. {os.cpu_count()} processors "
        f"(load averages {', '.join(f'{load:.1f}' for load in result['load'])}), {platform.machine()}, torch "
        f"{torch.__version__}, ray {ray.__version__}, one thread each. Medians of {options.rounds} rounds, all rounds "
        "in brackets."
    )
    same = "the same bits from all" if result["same_bits"] else "**the results differ**"
    return f"# What Ray workers are worth\n\n{what}\n\n" + "\n".join(lines) + f"\n\nAdversarial inputs: {same}.\n"


def main() -> None:
    options = tyro.cli(Options, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    torch.set_num_threads(1)
    model = adrgd.load_model(options.model).module
    attack = Attack(threat=Threat(eps=options.eps), steps=options.steps, stop_at_success=False)
    batches = split(adrgd.load_data(options.data, limit=options.limit), options.batch_size)
    names = ("one process", "one worker", f"{options.workers} workers")
    taken: dict[str, list[Timed]] = {name: [] for name in names}
    load = []
    for _ in track(range(options.rounds), "rounds", disable=options.json):
        load.append(os.getloadavg()[0])
        taken[names[0]].append(here(model, attack, batches))
        taken[names[1]].append(by_ray(1, model, attack, batches))
        taken[names[2]].append(by_ray(options.workers, model, attack, batches))
    wall = {name: [one.wall for one in ones] for name, ones in taken.items()}
    free = {name: [one.free for one in ones] for name, ones in taken.items()}
    result = {
        "images": options.limit, "batch_size": options.batch_size, "steps": options.steps, "torch": torch.__version__,
        "ray": ray.__version__, "processors": os.cpu_count(), "load": load,
        "wall": wall, "wall_ratio": to_one(wall, names[1]), "free": free, "free_ratio": to_one(free, names[1]),
        "same_bits": all(torch.equal(one.found, taken[names[0]][0].found) for ones in taken.values() for one in ones),
    }  # fmt: skip
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "ray_throughput.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "ray_throughput.md").write_text(markdown(options, result))
    print(json.dumps(result) if options.json else markdown(options, result))


if __name__ == "__main__":
    main()
