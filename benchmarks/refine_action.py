"""What a refined action costs: time for one action, and training with refinements against plain training. One thread.

    python benchmarks/refine_action.py

The critic has 400 and 300 hidden units and HalfCheetah's sizes (17 observations, 6 actions). Times are processor
seconds, medians over rounds in which all variants take turns in one process, so that a busy machine slows them alike.
Results go to benchmarks/results/refine_action.md and .json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import platform
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from adrgd.cli.progress import progress_bar
from adrgd.rl import RefineConfig
from adrgd.rl.config import named
from adrgd.rl.refine import refine
from adrgd.rl.training import Training

SOLVERS = ("graduated", "gd", "adr")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    env: str = "HalfCheetah-v5"
    algo: str = "ddpg"
    steps: int = 100
    """Iterations of a refinement."""
    actions: int = 40
    """Actions timed of each variant."""
    rounds: int = 8
    """Of training; a variant's time is the median over them."""
    round_steps: int = 500
    """Steps of the environment in a round."""
    updates: tuple[int, ...] = (50, 1)
    """Steps between updates: 50 is the fast setting of this project, 1 Stable-Baselines3's own."""
    probability: float = 0.25
    json: bool = False
    """Print the results as one JSON object and nothing else."""


def model_of(options: Options, refinement: RefineConfig | None, update_every: int) -> Any:
    """A fresh agent that learns, and refines, after a hundred steps."""
    size = options.round_steps * (options.rounds + 2)
    training = Training(
        algo=options.algo, env=options.env, steps=size, refine=refinement, evaluate_every=size,  # type: ignore[arg-type]
        learning_starts=100, update_every=update_every,
    )  # fmt: skip
    return training.model()


def an_action(options: Options, advance: Any) -> dict[str, dict[str, float]]:
    """Median milliseconds for one action, in closed form and through autograd, everything included."""
    model = model_of(options, None, 50)
    random = np.random.default_rng(0)
    found: dict[str, dict[str, list[float]]] = {name: {"closed": [], "autograd": []} for name in SOLVERS}
    size = model.action_space.shape[0]
    for k in range(options.actions + 2):
        seen = random.normal(size=(1, *model.observation_space.shape)).astype(np.float32)
        proposal = random.uniform(-1, 1, (1, size)).astype(np.float32)
        for name in SOLVERS:
            config = RefineConfig(solver=name, steps=options.steps)
            for way, closed in (("closed", True), ("autograd", False)):
                begin = time.process_time()
                refine(model, seen, proposal, replace(config, closed_form=closed))
                if k > 1:  # the first two warm up
                    found[name][way].append(1000 * (time.process_time() - begin))
        advance()
    return {name: {way: statistics.median(values) for way, values in ways.items()} for name, ways in found.items()}


def training(options: Options, update_every: int, advance: Any) -> dict[str, dict[str, float]]:
    """Median steps a second of training, and the ratio to plain training in the same round."""
    config = RefineConfig(probability=options.probability, steps=options.steps)
    names = ("none", *SOLVERS)
    models = {name: model_of(options, named(name, config), update_every) for name in names}
    for model in models.values():
        model.learn(options.round_steps)  # random actions, then the first updates
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name, model in models.items():
            begin = time.process_time()
            model.learn(options.round_steps, reset_num_timesteps=False)
            seconds[name].append(time.process_time() - begin)
        advance()
    return {
        name: {
            "steps_a_second": options.round_steps / statistics.median(seconds[name]),
            "ratio": statistics.median(p / s for p, s in zip(seconds["none"], seconds[name], strict=True)),
        }
        for name in names
    }


def markdown(options: Options, result: dict[str, Any]) -> str:
    lines = [
        "# What a refined action costs", "",
        f"{options.steps} iterations, batch 1, critic 400-300, {options.env}'s sizes; medians of {options.actions} "
        f"actions, processor time; torch {torch.__version__}, {platform.machine()}, one thread.", "",
        "| solver | ms an action, closed form | ms an action, autograd |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {name} | {t['closed']:.2f} | {t['autograd']:.2f} |" for name, t in result["milliseconds"].items()]
    lines += [
        "", f"Training {options.algo.upper()}, refinements with probability {options.probability:g}: steps a second, "
        f"and the ratio to plain training in the same process (medians of {options.rounds} rounds of "
        f"{options.round_steps} steps).", "",
        "| refined by | " + " | ".join(f"{u} updates every {u} steps | ratio" for u in options.updates) + " |",
        "|---|" + "---|---|" * len(options.updates),
    ]  # fmt: skip
    for name in ("none", *SOLVERS):
        found = [result["training"][str(update)][name] for update in options.updates]
        cells = " | ".join(f"{one['steps_a_second']:.0f} | {one['ratio']:.2f}" for one in found)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = tyro.cli(Options, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    torch.set_num_threads(1)
    with progress_bar() as bar:
        shown = bar.add_task("refine", total=options.actions + 2 + options.rounds * len(options.updates))
        result: dict[str, Any] = {
            "env": options.env, "algo": options.algo, "steps": options.steps, "probability": options.probability,
            "torch": torch.__version__, "milliseconds": an_action(options, lambda: bar.advance(shown)),
            "training": {str(u): training(options, u, lambda: bar.advance(shown)) for u in options.updates},
        }  # fmt: skip
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "refine_action.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "refine_action.md").write_text(markdown(options, result))
    print(json.dumps(result) if options.json else markdown(options, result))


if __name__ == "__main__":
    main()
