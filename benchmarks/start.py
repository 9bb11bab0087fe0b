"""How long the command line and the import take before anything is done, beside `python -c pass` and `import torch`.

Seconds are those of the processor: a busy machine leaves them as they are, and on a quiet one they are what passes.
Sources are compiled before it begins, as pip does when it installs, into a folder of their own that is removed again.

python benchmarks/start.py
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

CASES = {
    "python -c pass": ["-c", "pass"],
    "adrgd --version": ["-m", "adrgd", "--version"],
    "adrgd --help": ["-m", "adrgd", "--help"],
    "adrgd list": ["-m", "adrgd", "list"],
    "adrgd attack --help": ["-m", "adrgd", "attack", "--help"],
    "adrgd attack, a wrong flag": ["-m", "adrgd", "attack", "--epss", "1"],
    "import torch": ["-c", "import torch"],
    "import adrgd, with all but attacks": ["-c", "import adrgd; adrgd.maximize"],
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How often."""

    rounds: int = 7
    """Times that each is started, in turn with the others; the median counts."""
    out: Path = Path(__file__).parent / "results" / "start.json"
    """Where the figures go."""


def seconds(words: list[str], compiled: str) -> float:
    """Of the processor, for a process of this Python from start to end; `compiled` is where its bytecode lies."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], capture_output=True, check=False,
        env=environment | {"PYTHONPYCACHEPREFIX": compiled},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(options: Options) -> None:
    """Measure, print a table, and keep the figures."""
    found: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as compiled:
        for words in CASES.values():
            seconds(words, compiled)  # files come into the cache
        for _ in range(options.rounds):
            for name, words in CASES.items():
                found[name].append(seconds(words, compiled))
    medians = {name: statistics.median(times) for name, times in found.items()}
    plain = medians["python -c pass"]
    print("| start of | seconds | times `python -c pass` |\n|---|---:|---:|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} | {median / plain:.1f} |")
    more = medians["import adrgd, with all but attacks"] - medians["import torch"]
    print(f"\nimporting adrgd adds {more:.2f} s to importing torch")
    kept = {name: round(median, 3) for name, median in medians.items()}
    options.out.write_text(json.dumps({"rounds": options.rounds, "seconds": kept}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Options))
