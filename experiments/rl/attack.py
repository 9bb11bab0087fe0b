"""Attacks on a trained continuous-control agent: episode rewards at several sizes of perturbation.

    python experiments/rl/attack.py --folder FOLDER

FOLDER holds the TD3 agent for BipedalWalker of github.com/nikhilbarhate99/TD3-PyTorch-BipedalWalker-v2 (MIT licence):
its actor and its first critic, ReLU networks of 400 and 300 units. Results that are there already are not repeated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro
from torch import nn

from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError, ModelError
from adrgd.files import write_text, write_with
from adrgd.rl import Agent, ObservationAttack
from adrgd.rl.attack import Loss, play_attacked
from adrgd.rl.environments import make_env

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
STEM = "TD3_BipedalWalker-v2_0_solved"
SOLVERS = ("noise", "fgsm", "pgd", "adr", "graduated")
LABELS = {"noise": "uniform noise", "fgsm": "FGSM", "pgd": "PGD", "adr": "ADR-GD", "graduated": "GraduatedADR"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    folder: Path
    """With the agent's three files."""
    env: str = "BipedalWalker-v3"
    eps: tuple[float, ...] = (0.02, 0.05, 0.1)
    """Half-widths of the box around each observation, in the observation's own units."""
    loss: tuple[Loss, ...] = ("critic", "action")
    steps: int = 20
    """Iterations of each solver at each time step."""
    episodes: int = 20
    seed: int = 0
    out: Path = HERE / "results"


def mlp(file: Path) -> nn.Sequential:
    """A chain of three Linear layers with ReLUs between."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"cannot read {file} ({error.strerror}); expected the agent's weights there") from error
    layers: list[nn.Module] = []
    for name in ("l1", "l2", "l3"):
        out, inside = state[f"{name}.weight"].shape
        layer = nn.Linear(inside, out)
        layer.load_state_dict({key: state[f"{name}.{key}"] for key in ("weight", "bias")})
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval().requires_grad_(False)


def load_agent(folder: Path, env: str) -> Agent:
    """The published agent, with the bounds of the environment's actions."""
    actor, critic = mlp(folder / f"{STEM}_actor.pth"), mlp(folder / f"{STEM}_crtic_1.pth")
    space = make_env(env).action_space
    return Agent(
        lambda seen: torch.tanh(actor(seen)), lambda seen, action: critic(torch.cat([seen, action], 1))[:, 0],
        space.low, space.high,
    )  # fmt: skip


def conditions(options: Options) -> Iterator[tuple[str, Loss | Literal[""], float]]:
    """Solver, loss and eps of each row of the table."""
    yield "none", "", 0.0
    for eps in options.eps:
        yield "noise", "", eps
        for loss in options.loss:
            for solver in SOLVERS[1:]:
                yield solver, loss, eps


def run(options: Options) -> list[dict[str, Any]]:
    """One record an episode; each condition is saved when it is finished."""
    file = options.out / "attack.parquet"
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist() if file.exists() else []
    agent = load_agent(options.folder, options.env)
    with progress_bar() as bar:
        for solver, loss, eps in bar.track(list(conditions(options)), description="attacks"):
            key = {"env": options.env, "solver": solver, "loss": loss, "eps": eps, "steps": options.steps}
            key |= {"episodes": options.episodes, "seed": options.seed}
            if any(row.items() >= key.items() for row in rows):
                continue
            attack = ObservationAttack(
                eps=eps, solver=solver, loss=loss or "critic", steps=options.steps, seed=options.seed
            )  # fmt: skip
            played = play_attacked(agent, options.env, attack, episodes=options.episodes, seed=options.seed)
            rows += [key | {"episode": k, "reward": e.reward, "length": e.length} for k, e in enumerate(played)]
            write_with(file, partial(pq.write_table, pa.Table.from_pylist(rows), compression="zstd"))
    return rows


def report(options: Options, table: list[dict[str, Any]]) -> str:
    """The table of mean rewards with standard errors, and the picture."""
    rewards: dict[tuple[str, str, float], list[float]] = {}
    for row in table:
        rewards.setdefault((row["solver"], row["loss"], row["eps"]), []).append(row["reward"])
    clean = rewards["none", "", 0.0]
    lines = [
        f"# {options.env}: episode rewards under attack", "",
        f"TD3 agent, {options.episodes} episodes a cell, {options.steps} iterations at each time step; mean and "
        f"standard error. Without attack: {_cell(clean)}.", "",
        "| attack | loss | " + " | ".join(f"eps {eps:g}" for eps in options.eps) + " |",
        "|---|---|" + "---|" * len(options.eps),
    ]  # fmt: skip
    figure, axes = plt.subplots(1, len(options.loss), figsize=(9, 3.6), sharey=True, squeeze=False)
    for loss, axis in zip(options.loss, axes[0], strict=True):
        for solver in SOLVERS:
            kind = "" if solver == "noise" else loss
            cells = [rewards[solver, kind, eps] for eps in options.eps]
            axis.plot([0, *options.eps], [np.mean(clean), *map(np.mean, cells)], marker="o", label=LABELS[solver])
            if solver != "noise" or loss == options.loss[0]:
                lines.append(f"| {LABELS[solver]} | {kind or '-'} | " + " | ".join(map(_cell, cells)) + " |")
        axis.set(title=f"loss: {loss}", xlabel="eps")
    axes[0][0].set_ylabel("episode reward")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    plt.rcParams["svg.hashsalt"] = "adrgd"
    write_with(options.out / "attack.svg", partial(figure.savefig, format="svg", metadata={"Date": None}))
    text = "\n".join(lines) + "\n"
    write_text(options.out / "attack.md", text)
    return text


def _cell(values: list[float]) -> str:
    return f"{np.mean(values):.0f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.0f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    options = tyro.cli(Options, description=__doc__)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        print(report(options, run(options)))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
