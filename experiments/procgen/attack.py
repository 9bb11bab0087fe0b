"""Figure 3(c): the episode reward of the FruitBot and CoinRun agents under attack, against eps.

    python experiments/procgen/attack.py --game fruitbot
    python experiments/procgen/attack.py --summary            # the page and the picture again

Each condition is one run of `adrgd rl attack` in a folder under --work; one that is there is not repeated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
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

from adrgd.cli.folders import Run
from adrgd.cli.progress import progress_bar
from adrgd.cli.rl_attack import EPISODES, SUMMARY, Siege, besiege
from adrgd.domain import as_eps
from adrgd.errors import AdrgdError
from adrgd.files import write_text, write_with
from adrgd.rl.siege import interval

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
GAMES = ("fruitbot", "coinrun")
LABELS = {
    "none": "the agent alone", "noise": "uniform noise", "fgsm": "FGSM", "pgd": "PGD", "adr": "ADR-GD (paper)",
    "graduated": "GraduatedADR", "secant": "GraduatedADR, secant", "standard": "standard",
}  # fmt: skip
GOALS = ("paper", "worst", "margin")
MOST = ("pgd", "graduated")
"""The solvers that are run with the other goals as well, at the middle eps."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    game: tuple[Literal["fruitbot", "coinrun"], ...] = GAMES
    eps: tuple[str, ...] = ("1/255", "3/255", "5/255")
    solver: tuple[str, ...] = ("none", "pgd", "graduated", "noise", "adr", "secant", "fgsm", "standard")
    """In this order, at the middle eps first."""
    passes: int = 10
    """Of each solver for each observation; standard, which needs at least 50, has those."""
    episodes: int = 100
    limit: int = 200
    """Steps of an episode, of which a game's own limit is 1000: an agent that is stuck would be attacked for long."""
    seed: int = 0
    greedy: bool = False
    """The best action instead of one drawn from the policy, as Procgen's agents act."""
    work: Path = Path("runs/procgen")
    out: Path = HERE / "results"
    summary: bool = False
    """Only write the page and the picture."""


def conditions(options: Options) -> Iterator[tuple[str, str, str]]:
    """Solver, goal and eps of each, those that say most first; the ensemble, which costs most, comes last."""
    middle = len(options.eps) // 2
    sizes = [options.eps[middle], *options.eps[:middle:-1], *options.eps[:middle]]
    for eps in sizes:
        for solver in options.solver:
            if solver != "standard" and (solver != "none" or eps == sizes[0]):
                yield solver, "paper", eps
    for goal in GOALS[1:]:
        for solver in MOST:
            yield solver, goal, sizes[0]
    for eps in sizes if "standard" in options.solver else ():
        yield "standard", "paper", eps


def siege(options: Options, game: str, solver: str, goal: Any, eps: str, out: Path) -> Siege:
    """What `adrgd rl attack` is to do."""
    return Siege(
        policy=HERE / "policies" / f"{game}.safetensors", env=f"procgen:{game}", eps=float(as_eps(eps)),  # type: ignore[arg-type]
        solver=solver, goal=goal, budget=max(50, options.passes) if solver == "standard" else options.passes,
        episodes=options.episodes, side_by_side=options.episodes, episode_steps=options.limit,
        sample=not options.greedy, controls=False, run=Run(seed=options.seed, threads=1, resume=out.exists()),
    )  # fmt: skip


def run(options: Options) -> None:
    """Do what is missing, and keep the episodes of each game in one file."""
    for game in options.game:
        with progress_bar() as bar:
            for solver, goal, eps in bar.track(list(conditions(options)), description=game):
                out = options.work / f"{game}-{solver}-{goal}-{eps.replace('/', 'of')}"
                if not (out / SUMMARY).exists():
                    found = besiege(siege(options, game, solver, goal, eps, out), out, bar)["found"][solver]
                    print(game, solver, goal, eps, json.dumps(found), flush=True)
                    collect(options, game)


def collect(options: Options, game: str) -> None:
    """One file of all episodes so far."""
    rows: list[dict[str, Any]] = []
    for solver, goal, eps in conditions(options):
        out = options.work / f"{game}-{solver}-{goal}-{eps.replace('/', 'of')}"
        if (out / SUMMARY).exists():
            key = {"goal": goal, "eps": "0" if solver == "none" else eps}
            summary = json.loads((out / SUMMARY).read_text())
            passes = summary["found"][solver]["passes"]
            rows += [key | {"passes": passes} | row for row in pq.read_table(out / EPISODES).to_pylist()]
    write_with(options.out / f"{game}.parquet", partial(pq.write_table, pa.Table.from_pylist(rows), compression="zstd"))


def report(options: Options) -> str:
    """The page, from the files of episodes, and the picture."""
    lines = ["# Episode rewards under attack", ""]
    games = [game for game in GAMES if (options.out / f"{game}.parquet").exists()]
    figure, axes = plt.subplots(1, max(1, len(games)), figsize=(4.6 * max(1, len(games)), 3.6), squeeze=False)
    for game, axis in zip(games, axes[0], strict=False):
        table = pq.read_table(options.out / f"{game}.parquet").to_pylist()
        found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for row in table:
            found.setdefault((row["solver"], row["goal"], row["eps"]), []).append(row)
        lines += [f"## {game}", "", *_table(options, found), "", *_differences(options, found), ""]
        _draw(options, axis, game, found)
    axes[0][0].set_ylabel("episode reward")
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    plt.rcParams["svg.hashsalt"] = "adrgd"
    write_with(options.out / "figure3c.svg", partial(figure.savefig, format="svg", metadata={"Date": None}))
    text = "\n".join(lines).rstrip() + "\n"
    write_text(options.out / "attack.md", text)
    return text


Found = dict[tuple[str, str, str], list[dict[str, Any]]]


def _rewards(found: Found, solver: str, goal: str, eps: str) -> Any:
    rows = found.get((solver, goal, eps), [])
    return np.array([row["reward"] for row in rows])


def _cell(values: Any) -> str:
    if not len(values):
        return "not run"
    low, high = interval(values)
    return f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"


def _table(options: Options, found: Found) -> list[str]:
    alone = _rewards(found, "none", "paper", "0")
    lines = [
        f"{len(alone)} episodes a cell on the training levels; mean and 95 % interval. The agent alone: "
        f"{_cell(alone)}.", "",
        "| attack | goal | passes a frame | " + " | ".join(f"eps {eps}" for eps in options.eps) + " |",
        "|---|---|---|" + "---|" * len(options.eps),
    ]  # fmt: skip
    for solver in LABELS:
        for goal in GOALS:
            kept = [(eps, found[solver, goal, eps]) for eps in options.eps if (solver, goal, eps) in found]
            if not kept or solver == "none":
                continue
            passes = np.mean([rows[0]["passes"] for _, rows in kept])
            cells = [_cell(_rewards(found, solver, goal, eps)) for eps in options.eps]
            shown = goal if solver != "noise" else "-"
            lines.append(f"| {LABELS[solver]} | {shown} | {passes:.1f} | " + " | ".join(cells) + " |")
    return lines


def _differences(options: Options, found: Found) -> list[str]:
    """By how much graduated gates lower the reward further than PGD, episode by episode from the same starts."""
    lines = ["GraduatedADR minus PGD, over episodes with the same starts (negative: it lowers the reward further):", ""]
    for goal in GOALS:
        for eps in options.eps:
            ours, theirs = (_rewards(found, solver, goal, eps) for solver in ("graduated", "pgd"))
            if len(ours) and len(ours) == len(theirs):
                lines.append(f"- goal {goal}, eps {eps}: {_cell(ours - theirs)}")
    return lines


def _draw(options: Options, axis: Any, game: str, found: Found) -> None:
    alone = _rewards(found, "none", "paper", "0")
    for solver, label in LABELS.items():
        sizes = [eps for eps in options.eps if (solver, "paper", eps) in found]
        if solver == "none" or not sizes:
            continue
        cells = [alone, *(_rewards(found, solver, "paper", eps) for eps in sizes)]
        at = [0.0, *(float(as_eps(eps)) * 255 for eps in sizes)]  # type: ignore[arg-type]
        ends = np.array([interval(cell) for cell in cells])
        (line,) = axis.plot(at, [cell.mean() for cell in cells], marker="o", markersize=3, label=label)
        axis.fill_between(at, *ends.T, alpha=0.12, color=line.get_color(), linewidth=0)
    axis.set(title=game, xlabel="eps in grey levels of 255")


if __name__ == "__main__":
    torch.set_num_threads(1)
    options = tyro.cli(Options, description=__doc__)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        if not options.summary:
            run(options)
        print(report(options))
    except AdrgdError as error:
        raise SystemExit(f"error: {error}") from None
