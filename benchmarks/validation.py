"""What looking at a model first costs: attacks with and without it, in turns, by the processor's time.

python benchmarks/validation.py
python benchmarks/validation.py --only "maximize, 20 iterations"    # the other rows stay as they are
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from functools import partial
from pathlib import Path

import torch
from turns import rounds

from adrgd import GraduatedADR, LinfBall, Misclassify, load_data, load_model, maximize
from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.domain import Box

RESULTS = Path(__file__).parent / "results" / "validation.json"
EPS = 0.25
ROUNDS = {20: 41, 100: 11}
"""Pairs for each number of iterations: short runs differ by little, and by more than it from one to the next."""


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    model, data = load_model("bundled:mnist-pgd").module, load_data("bundled:mnist", limit=50)

    def attack(steps: int, check: bool) -> None:
        settings = Attack(threat=Threat(eps=EPS), steps=steps, stop_at_success=False)
        attack_batch(model, data.images, data.labels, settings, check=check)

    def search(steps: int, check: bool) -> None:
        domain = LinfBall(data.images, EPS, Box(0, 1))
        objective = Misclassify(model, data.labels)
        maximize(
            objective, data.images, domain=domain, solver=GraduatedADR(), steps=steps, stop_at_goal=False, check=check
        )

    jobs = {
        f"{name}, {steps} iterations": (run, steps)
        for name, run in (("attack_batch", attack), ("maximize", search))
        for steps in ROUNDS
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=jobs, default=list(jobs))
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in parser.parse_args().only:
        run, steps = jobs[name]
        run(1, True)  # warms up
        both = {"with": partial(run, steps, True), "without": partial(run, steps, False)}
        found[name] = rounds(both, repeat=ROUNDS[steps], quiet=False, what=name)
    RESULTS.write_text(json.dumps({name: found[name] for name in jobs if name in found}) + "\n")
    RESULTS.with_suffix(".md").write_text(table(found))
    print(table(found))


def table(found: dict[str, dict[str, list[float]]]) -> str:
    lines = [
        "# What looking at a model first costs", "",
        "50 images of MNIST, `bundled:mnist-pgd`; medians of pairs in turns, seconds of one processor.", "",
        "| what | pairs | with, s | without, s | slower by | quarters |", "|---|---:|---:|---:|---:|---|",
    ]  # fmt: skip
    for name, spent in found.items():
        shares = [one / other - 1 for one, other in zip(spent["with"], spent["without"], strict=True)]
        low, middle, high = (f"{100 * share:+.2f} %" for share in statistics.quantiles(shares))
        seconds = " | ".join(f"{statistics.median(spent[key]):.3f}" for key in ("with", "without"))
        lines.append(f"| {name} | {len(shares)} | {seconds} | {middle} | {low} to {high} |")
    return "\n".join([*lines, "", f"torch {torch.__version__}; `python benchmarks/validation.py`", ""])


if __name__ == "__main__":
    main()
