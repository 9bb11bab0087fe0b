"""Both verdicts on random small networks against a mixed-integer program: no verdict may be wrong.

    python benchmarks/proofs.py                    # 10,000 networks
    python benchmarks/proofs.py --stop-after 300   # and again, until all are done

Every network (2 to 7 inputs, one to three layers of 3 to 9 ReLUs) gets a property with up to three cases of up to three
constraints, shifted so that it only just holds or only just does not: by 10^-5 to 0.3, drawn. HiGHS tells which.
Both ways of splitting, inputs and neurons (these with maps in either precision), get the same seconds. Results go to
benchmarks/results/proofs.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from small_nets import problem

from adrgd.bounds import network as networks
from adrgd.bounds.reading import read_network
from adrgd.files import write_text
from adrgd.proof.input_split import InputSplit
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.outcome import Outcome

SMALL = networks.SMALL
RESULTS = Path(__file__).parent / "results"
EACH = 100  # networks that are kept together
WAYS: dict[str, Any] = {"inputs": InputSplit, "neurons": NeuronSplit, "neurons, maps in float32": NeuronSplit}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How many, and for how long."""

    networks: int = 10_000
    """Random networks, by the seeds 0, 1, ..."""
    seconds: float = 0.06
    """Of the processor, for each proof."""
    stop_after: float | None = None
    """Seconds after which no further network is begun."""
    work: Path = Path("runs/benchmark-proofs")
    """Finished networks."""


def verdicts(seed: int, seconds: float) -> dict[str, str]:
    """The truth, what tells it, and what each way of splitting says of one network."""
    given = problem(seed)
    said = {"truth": given.truth, "by": given.by}
    example = torch.zeros(1, given.layers[0][0].shape[1])
    for name, way in WAYS.items():
        single = "float32" in name
        networks.SMALL = 0 if single else SMALL  # numbers, from which on matrices are in float32 as well
        network = read_network(given.network, example, entries=0 if single else None)
        said[name] = _word(_run(way(network, given.claims, lambda x: True), seconds))
    networks.SMALL = SMALL
    return said


def _run(proof: Any, seconds: float) -> Outcome:
    """Let a proof go on for seconds of the processor, so that it gets as far on a busy machine."""
    until = time.process_time() + seconds
    while not proof.outcome.ended and time.process_time() < until:
        proof.run(time.monotonic() + seconds)
    return proof.outcome


def _word(outcome: Outcome) -> str:
    return "sat" if outcome.found else "unsat" if outcome.proven else "undecided"


def page(counts: Counter[str], options: Options) -> str:
    """The result as Markdown."""
    lines = ["| split | property | sat | unsat | undecided |", "|---|---|---|---|---|"]
    for way in WAYS:
        for truth in ("sat", "unsat"):
            cells = [str(counts[f"{way} {truth} {said}"]) for said in ("sat", "unsat", "undecided")]
            lines.append(f"| {way} | {truth} | {' | '.join(cells)} |")
    wrong = sum(counts[f"{way} {a} {b}"] for way in WAYS for a, b in (("sat", "unsat"), ("unsat", "sat")))
    rows = "\n".join(lines)
    return f"""# Both verdicts on random tiny networks, against the truth

`python benchmarks/proofs.py --networks {options.networks} --seconds {options.seconds:g}`

{counts["networks"]} networks, the truth of {counts["pieces"]} from all their affine pieces, of {counts["program"]} from
HiGHS, which failed on {counts["failed"]} more. {counts["milliseconds"] / 60000:.1f} minutes of one core.
**Wrong verdicts: {wrong}.**

{rows}
"""


def main(options: Options) -> None:
    """Try what is missing, then write the table."""
    options.work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    total: Counter[str] = Counter()
    for start in range(0, options.networks, EACH):
        file = options.work / f"{start:06d}.json"
        if not file.exists():
            if time.monotonic() - began > (options.stop_after or float("inf")):
                continue
            counts: Counter[str] = Counter()
            spent = time.process_time()
            for seed in range(start, min(start + EACH, options.networks)):
                said = verdicts(seed, options.seconds)
                known = bool(said["truth"])
                counts.update(["networks", said["by"]] if known else ["failed"])
                counts.update(f"{way} {said['truth']} {said[way]}" for way in WAYS if known)
            counts["milliseconds"] = round(1000 * (time.process_time() - spent))
            write_text(file, json.dumps(counts) + "\n")
            print(start, dict(counts), flush=True)
        total.update(json.loads(file.read_text()))
    text = page(total, options)
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / "proofs.md", text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
