"""What looking at a model first costs: attacks with and without it, in turns, by the processor's time.

python benchmarks/validation.py
"""

from __future__ import annotations

import statistics
import time
import warnings
from pathlib import Path

import torch

from adrgd import GraduatedADR, LinfBall, Misclassify, load_data, load_model, maximize
from adrgd.attacks import Attack, Threat, attack_batch
from adrgd.domain import Box

RESULTS = Path(__file__).parent / "results" / "validation.md"
EPS = 0.25
ROUNDS = 9


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

    lines = [
        "# What looking at a model first costs", "",
        f"50 images of MNIST, `bundled:mnist-pgd`; medians of {ROUNDS} pairs in turns, seconds of one processor.", "",
        "| what | with, s | without, s | slower by |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for name, run in (("attack_batch", attack), ("maximize", search)):
        for steps in (20, 100):
            pairs = []
            for turn in range(ROUNDS + 1):
                spent = {}
                for check in (True, False) if turn % 2 else (False, True):
                    began = time.process_time()
                    run(steps, check)
                    spent[check] = time.process_time() - began
                pairs.append((spent[True], spent[False]))
            pairs = pairs[1:]  # the first warms up
            share = statistics.median(one / other for one, other in pairs) - 1
            with_, without = (statistics.median(column) for column in zip(*pairs, strict=True))
            lines.append(f"| {name}, {steps} iterations | {with_:.3f} | {without:.3f} | {100 * share:+.2f} % |")
    lines += ["", f"torch {torch.__version__}; `python benchmarks/validation.py`", ""]
    RESULTS.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
