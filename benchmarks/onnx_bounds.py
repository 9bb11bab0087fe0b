"""Which operators of ONNX have bounds, tried on the standard's own tests of single nodes.

    python benchmarks/onnx_bounds.py
    python benchmarks/onnx_bounds.py --write benchmarks/results/onnx_bounds.md
    python benchmarks/onnx_bounds.py --only reduce

Each test is wrapped into a network of one input and one output, as in benchmarks/onnx_nodes.py; what varies are all of
its fractions, else the first input that holds some. Every output is bounded over a box around the test's input, a
hundredth of each number (and of one) to either side, and the network run at its corners and at random points: a number
outside of its bounds would be an error of theirs.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import tempfile
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx_nodes import Test, cases, fractions, wrapped

from adrgd.bounds.backward import Boxes
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import values_of
from adrgd.bounds.outputs import bound_outputs
from adrgd.bounds.reading import read_network
from adrgd.errors import AdrgdError
from adrgd.files import write_text
from adrgd.models.onnx import read_onnx

MOST = 600  # inputs, outputs or neurons: beyond, a test is left out
REACH, POINTS = 0.01, 60
BOUNDED, INFINITE, NONE, WRONG, LARGE = "bounded", "infinite", "no bounds", "wrong", "left out"


@dataclass(frozen=True)
class Outcome:
    """What became of one test."""

    test: Test
    said: str
    reason: str = ""


def outcome(test: Test) -> Outcome:
    """Of all fractions varying, else of the first input that holds some."""
    places = fractions(test)
    if test.left_out or not places:
        return Outcome(test, LARGE, "nothing in it varies")
    tried = [tried_with(test, varying) for varying in (places, {min(places)})]
    return next((one for said in (WRONG, BOUNDED, INFINITE) for one in tried if one.said == said), tried[-1])


def tried_with(test: Test, varying: set[int]) -> Outcome:
    """Of these inputs varying."""
    model, x, expected = wrapped(test, varying)
    if max(len(x), len(expected)) > MOST:
        return Outcome(test, LARGE, f"more than {MOST} numbers")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.onnx"
        file.write_bytes(model.SerializeToString())
        try:
            net = read_onnx(file)[0].double()
            centre = torch.from_numpy(x)[None].double()
            network = read_network(net, centre, entries=0)
        except NoBoundsError as error:
            return Outcome(test, NONE, str(error).removeprefix("no bounds are known for "))
        except (AdrgdError, RuntimeError, TypeError, ValueError, IndexError) as error:
            return Outcome(test, NONE, f"{type(error).__name__}: {error}".split(str(file))[-1])
    if sum(network.sizes) > MOST:
        return Outcome(test, LARGE, f"more than {MOST} numbers")
    radius = REACH * (1 + centre.abs())
    box = Boxes(centre - radius, centre + radius)
    rows = torch.eye(network.outputs, dtype=torch.float64)
    linear = bound_outputs(network, box, torch.cat([rows, -rows])[None])
    share = torch.rand(POINTS, len(x), dtype=torch.float64)
    share[: POINTS // 2] = share[: POINTS // 2].round()
    with torch.no_grad():
        found = torch.cat([net(box.lower + share * 2 * radius), net(centre)]).reshape(POINTS + 1, -1)
    gap = (values_of(network, centre) - found[-1]).abs().nan_to_num(0.0)
    both = torch.cat([found, -found], 1)
    if bool((linear.value > both).any()) or bool((gap > 1e-6 * (1 + found[-1].abs())).any()):
        return Outcome(test, WRONG, "a value is outside of its bounds")
    finite = bool(linear.value.isfinite().all())
    return Outcome(test, BOUNDED if finite else INFINITE, "" if finite else "the box leaves the operator's domain")


def page(outcomes: list[Outcome], waiting: int) -> str:
    """The table, and why the others have none; so many tests have not been run."""
    tried = [one for one in outcomes if one.said != LARGE]
    by_op: dict[str, list[Outcome]] = defaultdict(list)
    for one in tried:
        by_op[one.test.op].append(one)
    count = {said: sum(one.said == said for one in tried) for said in (BOUNDED, INFINITE, NONE, WRONG)}
    whole = [op for op, group in by_op.items() if all(one.said in (BOUNDED, INFINITE) for one in group)]
    lines = [
        f"{count[BOUNDED]} of {len(tried)} tests of {len(by_op)} operators have bounds with onnx {onnx.__version__}, "
        f"{count[INFINITE]} have infinite ones at the edge of the operator's domain, {count[NONE]} have none, "
        f"**{count[WRONG]} are wrong**; {len(outcomes) - len(tried)} are left out: nothing in them varies, "
        f"it is not finite, or they have more than {MOST} numbers."
        + (f" {waiting} more have not been run yet." if waiting else ""),
        "",
        f"Operators with bounds in all tests ({len(whole)}): {', '.join(sorted(whole))}.",
        "",
        "| operator | bounded | not | because |",
        "|---|---|---|---|",
    ]
    for op, group in sorted(by_op.items()):
        if op in whole:
            continue
        good = sum(one.said in (BOUNDED, INFINITE) for one in group)
        reasons = sorted({one.reason for one in group if one.said in (NONE, WRONG)})
        said = "; ".join(" ".join(reason.split())[:100].replace("|", "/") for reason in reasons[:3])
        lines.append(f"| {op} | {good} | {len(group) - good} | {said} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the tests' names")
    parser.add_argument("--write", type=Path, help="where the table goes as well")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark-onnx-bounds"), help="finished tests")
    parser.add_argument("--stop-after", type=float, default=float("inf"), help="seconds; the next run goes on")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given.work.mkdir(parents=True, exist_ok=True)
        outcomes = []
        tests = sorted(cases(given.only), key=lambda test: "_expanded" in test.name)  # those written out come last
        for test in tests:
            file = given.work / f"{test.name}.json"
            numbers = [array for array in test.inputs if array.dtype.kind == "f"]
            if not all(np.isfinite(array).all() for array in numbers):
                outcomes.append(Outcome(test, LARGE, "no box is around what is not finite"))
            elif file.exists():
                outcomes.append(Outcome(test, *json.loads(file.read_text())))
            elif time.monotonic() - started < given.stop_after:
                outcomes.append(outcome(test))
                write_text(file, json.dumps([outcomes[-1].said, outcomes[-1].reason]))
    text = page(outcomes, len(tests) - len(outcomes))
    print(text)
    for one in outcomes:
        if one.said == WRONG:
            print("wrong:", one.test.name, one.reason)
    print(f"{time.monotonic() - started:.0f} s")
    if given.write:
        given.write.write_text("# Operators with bounds\n\n`python benchmarks/onnx_bounds.py`\n\n" + text)


if __name__ == "__main__":
    main()
