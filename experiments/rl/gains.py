"""The gain in Q of refined actions: the same critics, the same states, the same proposals for every solver.

    python experiments/rl/gains.py                                    # Pendulum and HalfCheetah, minutes
    python experiments/rl/gains.py --env Walker2d-v5 --steps 50000

A plain agent is trained; then its critic is maximised around its actor's proposals at states of its replay buffer.
Differences to GD under the same steps, with bootstrap intervals over the states. Results are added to
results/gains.json, one entry an environment, algorithm, length of training and seed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from intervals import Interval

from adrgd.cli.progress import progress_bar
from adrgd.files import write_text
from adrgd.rl import RefineConfig
from adrgd.rl.refine import refine
from adrgd.rl.training import Training

HERE = Path(__file__).parent
SOLVERS = ("gd", "graduated", "adr")
DRAWS = 10_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    env: tuple[str, ...] = ("Pendulum-v1", "HalfCheetah-v5")
    algo: Literal["ddpg", "td3"] = "ddpg"
    steps: int = 10_000
    """Of training."""
    states: int = 500
    iterations: int = 100
    """Of each solver."""
    seeds: int = 3
    out: Path = HERE / "results"


def measure(options: Options, env: str, seed: int) -> dict[str, Any]:
    """Train, and maximise: mean gains, and the mean difference to GD's with its interval."""
    training = Training(algo=options.algo, env=env, steps=options.steps, seed=seed, evaluate_every=options.steps)
    model = training.model()
    model.learn(options.steps)
    random = np.random.default_rng(seed)
    buffer = model.replay_buffer
    states = buffer.observations[random.choice(buffer.size(), options.states, replace=False), 0]
    with torch.no_grad():
        proposal = model.actor(torch.as_tensor(states, dtype=torch.float32)).numpy()
    gains = {
        name: refine(model, states, proposal, RefineConfig(solver=name, steps=options.iterations)).gain.astype(float)
        for name in SOLVERS
    }
    found: dict[str, Any] = {"states": options.states, "iterations": options.iterations}
    for name, gain in gains.items():
        difference = gain - gains["gd"]
        drawn = difference[random.integers(options.states, size=(DRAWS, options.states))].mean(1)
        low, high = np.percentile(drawn, [2.5, 97.5])
        found[name] = {
            "gain": float(gain.mean()), "difference": [float(difference.mean()), float(low), float(high)],
            "larger": float((difference > 1e-6).mean()), "smaller": float((difference < -1e-6).mean()),
        }  # fmt: skip
    return found


def markdown(results: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# Gains in Q, same critics and states", "",
        "Mean gain in the critic's value over the actor's proposal, radius 0.5, and the difference to GD under the "
        "same steps with its 95 % bootstrap interval; the shares of states where a solver gains more, and less.", "",
        "| agent | solver | gain | difference to GD | more | less |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, found in results.items():
        for solver in SOLVERS:
            one = found[solver]
            difference = "" if solver == "gd" else "{:+.4f} [{:+.4f}, {:+.4f}]".format(*Interval(*one["difference"]))
            cells = [name, solver, f"{one['gain']:.4f}", difference, f"{one['larger']:.3f}", f"{one['smaller']:.3f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Whatever is not there yet, one agent after the other."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "gains.json"
    results: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    wanted = {
        f"{env}, {options.algo}, {options.steps} steps, seed {seed}": (env, seed)
        for env in options.env
        for seed in range(options.seeds)
    }
    with progress_bar() as bar:
        task = bar.add_task("agents", total=len(wanted))
        for name, (env, seed) in wanted.items():
            if name not in results:
                results[name] = measure(options, env, seed)
                write_text(file, json.dumps(results, indent=1) + "\n")
                write_text(options.out / "gains.md", markdown(results))
            bar.advance(task)
    print(markdown(results))


if __name__ == "__main__":
    main(tyro.cli(Options))
