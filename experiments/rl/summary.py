"""The finished runs of Figure 4 as a Markdown table and as curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow.parquet as pq
from intervals import Array, Interval, curve, difference, interval

from adrgd.files import write_text, write_with

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LABELS = {"none": "plain", "gd": "GD", "adr": "ADR-GD", "graduated": "GraduatedADR"}
COLOURS = {"none": "#222222", "gd": "#009e73", "adr": "#d55e00", "graduated": "#0072b2"}
LAST = 5  # evaluations that count as the end of a run: one alone is noisy
FEWEST = 3  # runs of an interval that a difference may rest on


@dataclass(frozen=True)
class Cell:
    """The runs of one environment, algorithm, refinement and length.

    Attributes:
        seeds: of the runs.
        times: (evaluations,) in steps.
        rewards: (runs, evaluations) mean episode rewards.
        gain: (runs,) the mean gain in Q of a refined action over the second half of the run.
    """

    env: str
    algo: str
    refine: str
    steps: int
    seeds: list[int]
    times: Array
    rewards: Array
    gain: Array

    @property
    def final(self) -> Array:
        """(runs,) the mean reward over the last evaluations."""
        return np.asarray(self.rewards[:, -LAST:].mean(1))

    @property
    def whole(self) -> Array:
        """(runs,) the mean reward over the whole run, which is what early learning is worth."""
        return np.asarray(self.rewards.mean(1))


def read(results: Path) -> list[Cell]:
    """All finished runs, in the order of the table."""
    files: dict[tuple[str, str, int, str], list[tuple[int, Path]]] = {}
    for file in results.glob("*.parquet"):
        env, algo, refine, steps, seed = file.stem.rsplit(".", 4)
        files.setdefault((env, algo, int(steps), refine), []).append((int(seed), file))
    order = list(LABELS)
    cells = []
    for env, algo, steps, refine in sorted(files, key=lambda key: (*key[:3], order.index(key[3]))):
        found = sorted(files[env, algo, steps, refine])
        tables = [pq.read_table(file).to_pylist() for _, file in found]
        times = sorted({row["step"] for row in tables[0]})
        rewards = [[np.mean([r["reward"] for r in rows if r["step"] == t]) for t in times] for rows in tables]
        late = times[len(times) // 2 :]
        gain = [np.mean([r["gain"] for r in rows if r["step"] in late]) for rows in tables]
        seeds = [seed for seed, _ in found]
        cells.append(Cell(env, algo, refine, steps, seeds, np.array(times), np.array(rewards), np.array(gain)))
    return cells


def write_summary(results: Path, out: Path) -> str:
    """Write figure4.md and figure4.svg; returns the table."""
    cells = read(results)
    if not cells:
        return "no run is finished yet"
    plain = {(c.env, c.algo, c.steps): c for c in cells if c.refine == "none"}
    lines = [
        "# Figure 4 on one processor core", "",
        f"Interquartile means over seeds with 95 % bootstrap intervals. *End*: mean reward of the last {LAST} "
        "evaluations. *Whole*: mean reward of all evaluations. *Difference*: the end minus the plain algorithm's, "
        f"in bold where the interval excludes zero and both have at least {FEWEST} runs. *Gain*: in Q of a refined "
        "action, over the second half of the run.", "",
        "| environment | algorithm | steps | refined by | seeds | end | whole | difference | gain | end, by seed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for cell in cells:
        against = plain.get((cell.env, cell.algo, cell.steps))
        words = [
            cell.env, cell.algo.upper(), f"{cell.steps:,}", LABELS[cell.refine], ", ".join(map(str, cell.seeds)),
            _with_interval(cell.final), _with_interval(cell.whole), _difference(cell, against),
            "-" if cell.refine == "none" else f"{cell.gain.mean():.3g}", ", ".join(f"{v:.0f}" for v in cell.final),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(words)} |")
    lines += _together(cells, plain.values())
    write_with(out / "figure4.svg", partial(_curves, cells))
    text = "\n".join(lines) + "\n"
    write_text(out / "figure4.md", text)
    return text


def _with_interval(scores: Array) -> str:
    return str(interval([scores])) if len(scores) > 1 else f"{scores[0]:.0f} (one run)"


def _difference(cell: Cell, plain: Cell | None) -> str:
    if plain is None or cell.refine == "none":
        return "-"
    if min(len(cell.seeds), len(plain.seeds)) < 2:
        return f"{cell.final.mean() - plain.final.mean():.0f} (one run)"
    return _bold(difference([cell.final], [plain.final]), min(len(cell.seeds), len(plain.seeds)))


def _bold(found: Interval, runs: int) -> str:
    return f"**{found}**" if found.excludes_zero and runs >= FEWEST else str(found)


def _together(cells: list[Cell], plain: Iterable[Cell]) -> list[str]:
    """All environments of an algorithm at once: 0 is the untrained agent, 1 the plain algorithm."""
    lines: list[str] = []
    for algo in sorted({cell.algo for cell in cells}):
        worlds = [cell for cell in plain if cell.algo == algo and np.diff(_ends(cell)) > 0]
        for refine in LABELS:
            ours = {(c.env, c.steps): c for c in cells if (c.algo, c.refine) == (algo, refine)}
            pairs = [(ours[p.env, p.steps], p) for p in worlds if (p.env, p.steps) in ours]
            if len(pairs) < 2 or refine == "none" or min(len(c.seeds) for pair in pairs for c in pair) < FEWEST:
                continue
            refined, reference = ([_score(pair[k], pair[1]) for pair in pairs] for k in (0, 1))
            words = [algo.upper(), LABELS[refine], ", ".join(p.env for _, p in pairs), str(interval(refined))]
            lines.append(f"| {' | '.join([*words, _bold(difference(refined, reference), FEWEST)])} |")
    head = [
        "", "All environments together, stratified: a score is 0 for the untrained agent and 1 for the plain "
        "algorithm's interquartile mean at the end; environments in which the latter is lower have no such score.", "",
        "| algorithm | refined by | environments | score | difference from plain |", "|---|---|---|---|---|",
    ]  # fmt: skip
    return [*head, *lines] if lines else []


def _score(cell: Cell, plain: Cell) -> Array:
    zero, one = _ends(plain)
    return (cell.final - zero) / (one - zero)


def _ends(plain: Cell) -> tuple[float, float]:
    """The reward before training and at its end."""
    return float(plain.rewards[:, 0].mean()), interval([plain.final]).value


def _curves(cells: list[Cell], path: Path) -> None:
    panels = sorted({(c.env, c.algo, c.steps) for c in cells})
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    plt.rcParams["svg.hashsalt"] = "adrgd"
    figure, axes = plt.subplots(rows, columns, figsize=(3.6 * columns, 2.8 * rows), squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        for cell in cells:
            if (cell.env, cell.algo, cell.steps) != panel:
                continue
            middle, low, high = curve(cell.rewards)
            colour = COLOURS[cell.refine]
            axis.plot(
                cell.times, middle, color=colour, label=f"{LABELS[cell.refine]} ({len(cell.seeds)})", linewidth=1.2
            )
            axis.fill_between(cell.times, low, high, color=colour, alpha=0.15, linewidth=0)
        axis.set_title(f"{panel[0]}, {panel[1].upper()}", fontsize=9)
        axis.set_xlabel("steps", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=7, title="refined by (seeds)", title_fontsize=7)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    axes[0][0].set_ylabel("episode reward", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
