"""The command line of the fuzzing; see the package."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from adrgd.falsify.workers import run_jobs

from .harness import Case, outcome, work
from .kinds import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--only", type=int, help="this case alone, in this process")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=120.0, help="after which each kind ends, in equal shares")
    options = parser.parse_args()
    if options.only is not None:
        for kind in options.kinds:
            print(kind, outcome(Case(kind, options.only, options.seed, tempfile.mkdtemp()), raising=True))
        return 0
    print("| kind | cases | taken | refused | faults | seconds |\n|---|---|---|---|---|---|")
    faults: list[str] = []
    for kind in options.kinds:
        counts: Counter[str] = Counter()
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            cases = [Case(kind, number, options.seed, place) for number in range(options.cases)]
            for done in run_jobs(cases, work, processes=options.processes, limit=lambda _: PATIENCE):
                found, what = done.result or ("fault", done.reason)
                counts[found] += 1
                if found == "fault":
                    faults.append(f"{kind} --only {done.place}: {what[:200]}")
                if time.monotonic() - started > 60 * options.minutes / len(options.kinds):
                    break
        spent = time.monotonic() - started
        numbers = f"{counts.total()} | {counts['taken']} | {counts['refused']} | {counts['fault']} | {spent:.0f}"
        print(f"| {kind} | {numbers} |", flush=True)
    print("\n".join(["", f"{len(faults)} faults", *faults[:SHOWN]]))
    return 1 if faults else 0


SHOWN = 30  # faults that are named
PATIENCE = 300.0  # seconds until a process is given up; its own limit is shorter, and one of the processor

if __name__ == "__main__":
    Path(tempfile.gettempdir()).mkdir(exist_ok=True)
    sys.exit(main())
