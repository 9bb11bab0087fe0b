"""Figure 4 on one processor core: DDPG and TD3, plain and with refined actions, over several seeds.

    python experiments/rl/figure4.py --env Pendulum-v1 --algo td3                 # minutes, for anyone
    python experiments/rl/figure4.py --env HalfCheetah-v5 --algo ddpg --steps 100000 --seeds 0 1 2 --processes 2
    python experiments/rl/figure4.py --summary                                    # tables and curves again

Each run is one small file under results/runs; one that is there is never repeated. A run that was stopped goes on from
its checkpoint under --work, to the same result. All of them use the same fast setting: batches of 100, 50 updates after
every 50 steps, fused Adam.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # NumPy reads it when it is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro
from summary import write_summary

from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError
from adrgd.files import write_with
from adrgd.rl.config import named
from adrgd.rl.evaluations import EVALUATIONS
from adrgd.rl.training import Training, train

HERE = Path(__file__).parent
STEPS = {"Pendulum-v1": 10_000, "HalfCheetah-v5": 100_000, "Walker2d-v5": 50_000, "Ant-v5": 50_000}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    env: tuple[str, ...] = tuple(STEPS)
    algo: tuple[str, ...] = ("ddpg", "td3")
    refine: tuple[str, ...] = ("none", "graduated", "gd", "adr")
    """In this order: each of them over all seeds before the next begins."""
    steps: int | None = None
    """Of the environment; each of the four environments has its own number unless given."""
    seeds: tuple[int, ...] = (0, 1, 2)
    processes: int = 1
    """Of one thread each."""
    work: Path = Path("runs/figure4")
    """Checkpoints of unfinished runs."""
    out: Path = HERE / "results"
    summary: bool = False
    """Only write the tables and curves of the runs that are there."""


@dataclass(frozen=True)
class Run:
    """One training run."""

    env: str
    algo: str
    refine: str
    seed: int
    steps: int

    @property
    def name(self) -> str:
        return f"{self.env}.{self.algo}.{self.refine}.{self.steps}.{self.seed}"

    def training(self) -> Training:
        """Its settings: twenty evaluations of five episodes."""
        return Training(
            algo=self.algo, env=self.env, steps=self.steps, seed=self.seed, refine=named(self.refine),  # type: ignore[arg-type]
            evaluate_every=self.steps // 20,
        )  # fmt: skip


def work(run: Run, folder: Path, results: Path) -> float:
    """Do one run, or the rest of it, and write its result. Returns the last mean reward."""
    torch.set_num_threads(1)
    out = folder / run.name
    summary = train(run.training(), out, resume=out.exists())
    table = pq.read_table(out / EVALUATIONS)
    labels = {"env": run.env, "algo": run.algo, "refine": run.refine, "seed": run.seed}
    for at, (name, value) in enumerate(labels.items()):
        table = table.add_column(at, name, pa.array([value] * len(table)))
    table = table.replace_schema_metadata({"config": json.dumps(summary["config"])})
    write_with(results / f"{run.name}.parquet", partial(pq.write_table, table, compression="zstd"))
    shutil.rmtree(out)
    return float(summary["reward"])


def runs(options: Options) -> Iterator[Run]:
    """In the order in which they are begun."""
    for env in options.env:
        steps = options.steps or STEPS.get(env, 50_000)
        for algo in options.algo:
            for refine in options.refine:
                for seed in options.seeds:
                    yield Run(env, algo, refine, seed, steps)


def main(options: Options) -> None:
    """Do what is missing, then write the tables and curves."""
    results = options.out / "runs"
    results.mkdir(parents=True, exist_ok=True)
    missing = [run for run in runs(options) if not (results / f"{run.name}.parquet").exists()]
    if missing and not options.summary:
        for run in missing:
            run.training()  # a wrong name is said before anything begins
        with progress_bar() as bar, ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
            shown = bar.add_task("figure 4", total=len(missing))
            waiting = {pool.submit(work, run, options.work, results): run for run in missing}
            for future in as_completed(waiting):
                print(f"{waiting[future].name}: {future.result():.1f}", flush=True)
                bar.advance(shown)
    print(write_summary(results, options.out))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
