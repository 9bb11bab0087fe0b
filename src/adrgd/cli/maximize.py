"""adrgd maximize"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from adrgd.cli.flags import flags, number
from adrgd.cli.options import Chosen, parse, positive, usable_device
from adrgd.described import describe
from adrgd.errors import AdrgdError, DomainError, ModelError, UsageError
from adrgd.files import make_folder, write_text
from adrgd.files.outputs import refuse_others

if TYPE_CHECKING:
    from torch import Tensor

    from adrgd.columns import Columns
    from adrgd.domain import Domain
    from adrgd.models import Model
    from adrgd.solution import Bounded, Solution
    from adrgd.solvers import Solver

SHOWN = 16  # coordinates of a point that are printed

DESCRIPTION = "Maximise one output of a network over a box; with --exact, prove how good the point is."


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to maximise, and where."""

    model: tyro.conf.Positional[str]
    """FILE.onnx, FILE.pt2, FILE.pt, bundled:NAME or package.module:factory?weights=FILE."""
    lower: str | None = None
    """The box's lower corner: one number, or one for each input with commas between (--lower=-1,0,2)."""
    upper: str | None = None
    """The box's upper corner."""
    columns: Path | None = None
    """Instead of a box a YAML file of a table's columns: bounds, whole numbers, categories, linear rules."""
    output: int = 0
    """Which output of the network."""
    minimize: bool = False
    """Look for the smallest value instead."""
    shape: tuple[int, ...] = ()
    """Shape of one input, where the file does not say."""
    solver: str = "graduated-momentum"
    """A solver of `adrgd list`; its own flags are below."""
    step: str | None = None
    """Another step rule for that solver."""
    steps: int = 100
    """Iterations of each run."""
    restarts: int = 20
    """Runs; the first begins in the middle of the box."""
    exact: bool = False
    """Go on by branch and bound until the maximum is proven (ReLU networks with few inputs)."""
    bound: float | None = None
    """Seconds for an upper bound beside what the search finds (with --minimize a lower one), on any network."""
    timeout: float = 60.0
    """Seconds for --exact."""
    gap: float = 1e-4
    """The gap between bound and value, as a share of the value, at which --exact stops."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps, ..."""
    trust: bool = False
    """Load a .pt or .pt2 file even where that can run its maker's code."""
    seed: int = 0
    """Of all randomness."""
    out: Path | None = field(default=None, metadata={"metavar": "FILE"})
    """A JSON file for the result; nothing is written unless it is given."""
    json: bool = False
    """Print the result as one JSON object and nothing else."""


def command(argv: list[str]) -> int:
    """Run `adrgd maximize`: exit code 1 when --exact was asked for and ended without a proof."""
    options, chosen = parse(
        Options, argv, prog="adrgd maximize", description=DESCRIPTION, ensemble=False, default="graduated-momentum",
        renamed={"--time-limit": "--timeout", "--tolerance": "--gap"},
    )  # fmt: skip
    if options.columns is None and (options.lower is None or options.upper is None):
        raise UsageError("expected --lower and --upper, the box's corners, or --columns with a file of columns")
    return raised(options, chosen)


def raised(options: Options, chosen: Chosen) -> int:
    """Maximise, print, and save."""
    import torch

    from adrgd.cli.progress import progress_bar
    from adrgd.domain import Box
    from adrgd.maximize import maximize
    from adrgd.models import load_model
    from adrgd.objective import Output

    solver: Solver = chosen.make()
    if options.exact and options.bound is not None:
        raise UsageError("--exact has a bound of its own, for --timeout seconds; leave --bound away")
    positive(options.steps, "steps")
    positive(options.restarts, "restarts")
    out, device = options.out, usable_device(options.device)
    if out is not None:
        refuse_others(out, lambda head: head.startswith(b'{\n  "model": ') and b'"sense": ' in head)
    try:
        model = load_model(options.model, dtype=torch.float64, device=device, trust=options.trust)
    except TypeError as error:  # mps has no such numbers
        raise UsageError(f"device {device!r} cannot compute in float64 ({error}); choose another, e.g. cpu") from error
    sign = -1.0 if options.minimize else 1.0
    columns = None if options.columns is None else _columns(options, model)
    domain: Domain
    if columns is None:
        lower, upper = (corner.to(device) for corner in _corners(options, model))
        domain, start = Box(lower, upper), (lower + upper) / 2
    else:
        domain, start = columns.domain(), _middle(columns).to(device)
    with progress_bar() as bar:
        task = bar.add_task("searching", total=options.steps)

        def tell(t: int, best: Solution) -> None:
            bar.update(task, completed=t, description=f"searching: {sign * best.value.item():.6g}")

        solution = maximize(
            Output(model, options.output, sign), start, domain=domain, solver=solver, on_iteration=tell,
            steps=options.steps, restarts=options.restarts, seed=options.seed, bound=options.bound,
        )  # fmt: skip
    result = _found(options, solver, solution, sign)
    if columns is not None:
        result["columns"] = columns.named(solution.x)
    failure: AdrgdError | None = None
    if options.exact:
        try:
            result |= _certified(options, model, lower, upper, solution, sign)
        except AdrgdError as error:  # what was found by search is printed and saved all the same
            failure = error
            result["status"] = "found by search; no bound could be proven"
    try:
        if out is not None:
            make_folder(out.parent)
            write_text(out, json.dumps(result, indent=2) + "\n")
    except OSError as error:  # what was found is printed all the same
        failure = UsageError(f"cannot write {out} ({error.strerror}); make room, or choose another --out")
    if options.json:
        print(json.dumps(result))
    else:
        _show(options, result)
    if failure is not None:
        raise failure
    return 1 if options.exact and not result["proven"] else 0


def _columns(options: Options, model: Model) -> Columns:
    """The columns, which belong to the network's inputs.

    Raises:
        UsageError: other flags say something else, or the network has more inputs, or fewer.
    """
    from adrgd.columns import read_columns

    if options.lower is not None or options.upper is not None:
        raise UsageError("--columns has bounds of its own; leave --lower and --upper out")
    if options.exact:
        raise UsageError("--exact proves maxima over boxes; leave --columns out, or ask for a --bound")
    columns = read_columns(options.columns)  # type: ignore[arg-type]
    shape = options.shape or model.input_shape
    size = None if shape is None else math.prod(shape)
    if size is not None and size != len(columns.inputs):
        raise UsageError(f"{options.model} takes {size} numbers, the columns have {len(columns.inputs)}; correct them")
    return columns


def _middle(columns: Columns) -> Tensor:
    """The allowed point nearest to the middle of all bounds, as (1, n)."""
    import torch

    ends = [[getattr(one, end) for one in columns.columns for _ in one.inputs] for end in ("lower", "upper")]
    middle = torch.tensor(ends, dtype=torch.float64).mean(0, keepdim=True)
    return columns.domain().bind(middle).project(middle)


def _found(options: Options, solver: Solver, solution: Solution, sign: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": options.model, "output": options.output, "sense": "min" if options.minimize else "max",
        "value": sign * solution.value.item(), "point": solution.x.flatten().tolist(),
        "bound": None, "gap": None, "proven": False, "nodes": 0, "seconds": solution.seconds,
        "forward_passes": int(solution.forwards), "backward_passes": int(solution.backwards), "seed": options.seed,
        "status": "found by search; no bound was asked for",
        "solver": describe(solver, options.solver), "steps": options.steps, "restarts": options.restarts,
    }  # fmt: skip
    if solution.upper_bound is not None and solution.bounded is not None:
        found |= _bounded(solution.value.item(), solution.upper_bound.item(), solution.bounded, sign)
        found["seconds"] += solution.bounded.seconds
    return found


def _bounded(value: float, bound: float, bounded: Bounded, sign: float) -> dict[str, Any]:
    """The bound of a search's value, in the sense that was asked for."""
    reason = bounded.reasons[0]
    if not math.isfinite(bound):
        return {"nodes": bounded.nodes, "status": f"found by search; there is no bound: {reason}"}
    gap = max(bound - value, 0.0)
    return {
        "bound": sign * bound, "gap": gap / abs(value) if value else gap and math.inf, "nodes": bounded.nodes,
        "status": "found by search, and bounded" + (f"; {reason}" if reason else ""),
    }  # fmt: skip


def _certified(
    options: Options, model: Model, lower: Tensor, upper: Tensor, solution: Solution, sign: float
) -> dict[str, Any]:
    """The search's point improved and bounded by branch and bound."""
    from adrgd.exact import Certificate, certify, mlp_from_network

    mlp = mlp_from_network(model, lower).output(options.output)
    if options.minimize:
        mlp = mlp.negated()
    from adrgd.cli.progress import progress_bar

    with progress_bar() as progress:
        task = progress.add_task("proving", total=None)

        def tell(state: Certificate) -> None:
            progress.update(
                task, description=f"{sign * state.value:.6g}, bound {sign * state.upper_bound:.6g}, {state.nodes} boxes"
            )

        certificate = certify(
            mlp, lower.flatten(), upper.flatten(), start=solution.x.flatten(1), tolerance=options.gap,
            time_limit=options.timeout, progress=tell,
        )  # fmt: skip
    return {
        "value": sign * certificate.value, "point": certificate.point.tolist(),
        "bound": sign * certificate.upper_bound, "gap": certificate.gap, "proven": certificate.proven,
        "nodes": certificate.nodes, "seconds": solution.seconds + certificate.seconds, "status": certificate.status,
    }  # fmt: skip


def _corners(options: Options, model: Model) -> tuple[Tensor, Tensor]:
    """Both corners as (1, *shape)."""
    import torch

    shape = options.shape or model.input_shape
    ends = [_numbers(text or "", name) for text, name in ((options.lower, "lower"), (options.upper, "upper"))]
    if shape is None:
        longest = max(len(end) for end in ends)
        if longest == 1:
            raise ModelError(f"{options.model} does not say the shape of its input; add --shape, e.g. --shape 10")
        shape = (longest,)
    size = torch.Size(shape).numel()
    for end, name in zip(ends, ("lower", "upper"), strict=True):
        if not all(math.isfinite(value) for value in end):
            raise DomainError(
                f"--{name} must be finite, found {getattr(options, name)}; give the box two finite corners"
            )
        if len(end) not in (1, size):
            raise DomainError(f"--{name} has {len(end)} numbers; expected one, or one for each of the {size} inputs")
    low, high = (torch.tensor(end, dtype=torch.float64).expand(size).reshape(1, *shape).contiguous() for end in ends)
    return low, high


def _numbers(text: str, name: str) -> list[float]:
    try:
        return [number(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"--{name} must be a number, or numbers with commas between; found {text!r}") from None


def _show(options: Options, result: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    side, parts = "lower" if options.minimize else "upper", "boxes" if options.exact else "parts"
    console.print(f"{result['sense']}  {result['value']:.9g}")
    if result["bound"] is not None:
        console.print(
            f"{side} bound  {result['bound']:.9g}  (relative gap {result['gap']:.2g}, {result['nodes']} {parts})"
        )
    named = result.get("columns", {})
    point = [f"{name} {value}" if isinstance(value, str) else f"{name} {value:.9g}" for name, value in named.items()]
    point = point or [f"{value:.9g}" for value in result["point"]]
    all_of_them = "all in the file" if options.out else "all of them with --json or --out FILE"
    rest = f", ... ({len(point)} numbers, {all_of_them})" if len(point) > SHOWN else ""
    console.print(f"point  {', '.join(point[:SHOWN])}{rest}")
    console.print(
        f"{result['status']}; {result['seconds']:.1f} s" + (f"; saved in {options.out}" if options.out else "")
    )
