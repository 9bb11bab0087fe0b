"""Both verdicts on small networks of many kinds, exported to ONNX: no verdict may be wrong, and few may be missing.

    python benchmarks/verdict_kinds.py
    python benchmarks/verdict_kinds.py --kinds gelu lstm --networks 10

Every kind of network (an activation, a kind of layer, a block of a known architecture) is drawn with a few weights and
gets properties about its one output over a box of inputs. The largest value that is known comes from random points and
long runs from the best of them. A threshold below that value makes the property violated for certain: `unsat` is wrong
there. Thresholds above it, by a share of the range that was sampled, make it hold, unless the search missed a larger
value: `sat` is judged by onnxruntime, and is never wrong. Results go to benchmarks/results/verdict_kinds.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import json
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor, nn
from verdict_nets import INPUTS, KINDS, LAYERS, WHOLE

from adrgd import Box, Output, maximize
from adrgd.cli.progress import progress_bar
from adrgd.errors import AdrgdError, NoGradientError
from adrgd.falsify import falsify
from adrgd.files import write_text

RESULTS = Path(__file__).parent / "results"
POINTS = 20_000
BELOW = 0.02  # of the range that was sampled
ABOVE = (0.05, 0.5)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much."""

    kinds: tuple[str, ...] = ()
    """These alone; all unless given."""
    networks: int = 3
    """Of each kind, by the seeds 0, 1, ..."""
    seconds: float = 10.0
    """For each property."""
    work: Path = Path("runs/benchmark-verdict-kinds")
    """Finished networks."""


def drawn(kind: str, seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A network of a kind, and the box of its inputs."""
    torch.manual_seed(seed)
    net = KINDS[kind]().eval().requires_grad_(False)
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter *= 1.7
    inputs = WHOLE if kind in LAYERS and isinstance(net[1], nn.Conv2d) else INPUTS
    reach = 0.1 if inputs == WHOLE else 0.5
    centre = torch.rand(1, inputs)
    return net, centre - reach, centre + reach


def known(net: nn.Module, lower: Tensor, upper: Tensor) -> tuple[float, float]:
    """The largest value that was found over the box, and the range of what was sampled."""
    points = lower + torch.rand(POINTS, lower.shape[1]) * (upper - lower)
    points = torch.cat([points, torch.where(torch.rand(POINTS, lower.shape[1]) > 0.5, lower, upper)])
    values = torch.cat([net(part)[:, 0] for part in points.split(5000)])
    starts = points[values.topk(20).indices]
    best = float(values.max())
    with contextlib.suppress(NoGradientError):  # constant between jumps; as it is exported, jumps have slopes
        best = max(best, float(maximize(Output(net, 0), starts, domain=Box(lower, upper), steps=100).value.max()))
    return best, float(values.max() - values.min())


def properties(kind: str, seed: int, seconds: float, folder: Path) -> list[dict[str, Any]]:
    """What was said of each property of a network."""
    net, lower, upper = drawn(kind, seed)
    best, spread = known(net, lower, upper)
    file = folder / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        torch.onnx.export(net, (lower,), str(file), input_names=["x"], dynamo=False)
    found = []
    for by in (-BELOW, *ABOVE):
        lines = [f"(declare-const X_{i} Real)" for i in range(lower.shape[1])] + ["(declare-const Y_0 Real)"]
        for i, (low, high) in enumerate(zip(lower[0].tolist(), upper[0].tolist(), strict=True)):
            lines += [f"(assert (>= X_{i} {low!r}))", f"(assert (<= X_{i} {high!r}))"]
        lines.append(f"(assert (>= Y_0 {best + by * spread!r}))")
        write_text(folder / "property.vnnlib", "\n".join(lines) + "\n")
        began = time.process_time()
        try:
            verdict = falsify(file, folder / "property.vnnlib", timeout=seconds, seed=seed)
            said, why = verdict.answer, verdict.message
        except AdrgdError as error:
            said, why = "refused", str(error)
        found.append({"by": by, "said": said, "why": why, "seconds": time.process_time() - began})
    return found


def page(rows: dict[str, list[dict[str, Any]]], options: Options) -> str:
    """The result as Markdown."""
    lines, reasons = [], []
    wrong = decided = asked = 0
    for kind, all_of_it in rows.items():
        cells = []
        for by in (-BELOW, *ABOVE):
            these = [row for row in all_of_it if row["by"] == by]
            good = sum(row["said"] == ("sat" if by < 0 else "unsat") for row in these)
            wrong += sum(row["said"] == "unsat" for row in these) if by < 0 else 0
            other = sum(row["said"] == "sat" for row in these) if by > 0 else 0
            decided, asked = decided + good + other, asked + len(these)
            cells.append(f"{good} of {len(these)}" + (f", {other} sat" if other else ""))
        seconds = statistics.median(row["seconds"] for row in all_of_it)
        lines.append(f"| {kind} | {' | '.join(cells)} | {seconds:.2g} |")
        why = {row["why"] for row in all_of_it if row["why"]}
        reasons += [f"- {kind}: {sentence}" for sentence in sorted(why)]
    command = f"python benchmarks/verdict_kinds.py --networks {options.networks} --seconds {options.seconds:g}"
    return f"""# Both verdicts on networks of many kinds

`{command}`

{len(rows)} kinds, {options.networks} networks each, {options.seconds:g} s a property, torch {torch.__version__}.
Wrong verdicts: {wrong}; decided: {decided} of {asked}. Thresholds lie {BELOW:g} of the sampled range below the largest
value known (`sat`), and {ABOVE[0]:g} and {ABOVE[1]:g} of it above (`unsat`).

| kind | below | {ABOVE[0]:g} above | {ABOVE[1]:g} above | median processor seconds |
|---|---|---|---|---|
{chr(10).join(lines)}

Why there was no proof:

{chr(10).join(reasons) or "- nothing was said"}
"""


def main(options: Options) -> None:
    """Try what is missing, then write the table."""
    options.work.mkdir(parents=True, exist_ok=True)
    kinds = options.kinds or tuple(KINDS)
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    with progress_bar() as bar, tempfile.TemporaryDirectory() as folder:
        task = bar.add_task("verdicts", total=len(kinds) * options.networks)
        for kind in kinds:
            for seed in range(options.networks):
                file = options.work / f"{kind.replace(', ', '-').replace(' ', '-')}-{seed}.json"
                if not file.exists():
                    found = properties(kind, seed, options.seconds, Path(folder))
                    write_text(file, json.dumps(found) + "\n")
                rows[kind] += json.loads(file.read_text())
                bar.update(task, advance=1, description=kind)
    text = page(rows, options)
    if not options.kinds:
        RESULTS.mkdir(exist_ok=True)
        write_text(RESULTS / "verdict_kinds.md", text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
