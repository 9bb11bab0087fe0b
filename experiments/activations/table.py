"""The page of an evaluation, from one row a network, attack, seed and image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from entrants import ADV_LIB, AUTO, OURS, SCHEDULES

Table = Mapping[str, np.ndarray]
"""Columns of the same length: network, attack, seed, index, success, forward_passes, backward_passes, ..."""

BEST, PAIR = "pgd", "adv-lib's APGD pair"
ORDER = (BEST, *OURS, "standard", AUTO, PAIR)

WORDS = """\
# Attacks on networks with smooth activations

{images} test images, clean errors counted as broken, perturbed images inside [0, 1] and inside the radius that the
network was trained with; found inputs are judged by us. `pgd`, `graduated` and `graduated-secant` have {passes}
forward and backward passes an image; `pgd` is the best of five schedules *on these very images*, so that nothing is
lost by its settings. All of ours have their default settings, but for the start where a line says so. Passes are means:
an attack leaves an image once it is broken.
"""


def page(rows: pa.Table, eps: Mapping[str, float], facts: Path) -> str:
    """All networks: what each attack broke by seed, and at what price."""
    columns = {name: np.asarray(rows[name].to_pylist()) for name in rows.column_names}
    names = list(dict.fromkeys(columns["network"]))
    counts = {len(set(columns["index"][columns["network"] == name])) for name in names}
    lines = [WORDS.format(images=" or ".join(map(str, sorted(counts))), passes=_most(columns))]
    lines += ["| network | eps | attack | broken, by seed | mean | passes an image | passes, AutoAttack = 1 |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name in names:
        lines += _network(of(columns, network=name), name, eps[name.partition("-")[0]], facts)
    lines += [
        "",
        "## Every schedule of plain gradients",
        "",
        "| network | schedule | broken, by seed |",
        "|---|---|---|",
    ]
    for name in names:
        mine = of(columns, network=name)
        lines += [f"| {name} | {one} | {_seeds(broken(of(mine, attack=one)))} |" for one in SCHEDULES]
    return "\n".join(lines) + "\n"


def of(table: Table, **wanted: str) -> Table:
    """The rows with these values."""
    keep = np.all([table[name] == value for name, value in wanted.items()], axis=0)
    return {name: values[keep] for name, values in table.items()}


def broken(table: Table) -> list[int]:
    """How many images each seed broke; of several attacks, by any of them."""
    return [len(set(table["index"][(table["seed"] == seed) & table["success"]])) for seed in sorted(set(table["seed"]))]


def passes(table: Table) -> float:
    """Forward and backward passes an image and seed, all attacks in the table together."""
    spent = table["forward_passes"] + table["backward_passes"]
    return float(spent.sum() / max(1, len(set(zip(table["seed"], table["index"], strict=True)))))


def best_schedule(table: Table) -> Table:
    """One network's rows of the schedule that broke most, on average over its seeds."""
    return of(table, attack=max(SCHEDULES, key=lambda one: np.mean(broken(of(table, attack=one)) or [-1])))


def combined(table: Table) -> dict[str, Table]:
    """One network's rows by the lines of the page; attacks that did not run are left out."""
    pair = np.array([name.startswith(ADV_LIB) for name in table["attack"]])
    found = {BEST: best_schedule(table), PAIR: {name: values[pair] for name, values in table.items()}}
    found |= {name: of(table, attack=name) for name in (*OURS, "standard", AUTO)}
    return {name: found[name] for name in ORDER if len(found[name]["index"])}


def _network(table: Table, name: str, eps: float, facts: Path) -> list[str]:
    parts = combined(table)
    auto = passes(parts[AUTO]) if AUTO in parts else None
    lines = [f"| **{name}**{_accuracy(facts / f'{name}.json')} | {eps:.3g} | | | | | |"]
    for attack, rows in parts.items():
        counts = broken(rows)
        spent = passes(rows)
        ratio = "" if auto is None else f"{spent / auto:.2f}"
        words = f"{attack}, {rows['attack'][0].partition(', ')[2]}" if attack == BEST else attack
        lines.append(f"| | | {words} | {_seeds(counts)} | {np.mean(counts):.1f} | {spent:.0f} | {ratio} |")
    return lines


def _seeds(counts: list[int]) -> str:
    return ", ".join(map(str, counts))


def _accuracy(file: Path) -> str:
    if not file.exists():
        return ""
    facts = json.loads(file.read_text())
    return f", clean accuracy {facts['clean_accuracy']:.3f}"


def _most(columns: Table) -> int:
    single = np.isin(columns["attack"], list(SCHEDULES) + list(OURS))
    return int((columns["forward_passes"] + columns["backward_passes"])[single].max(initial=0))
