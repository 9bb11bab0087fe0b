"""adrgd falsify"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from adrgd import __version__
from adrgd.cli.flags import flags
from adrgd.cli.options import GOES, cli, positive, usable_device
from adrgd.cli.signals import advised
from adrgd.deprecation import say_renamed
from adrgd.errors import UsageError, sentence
from adrgd.files import write_text
from adrgd.files.outputs import refuse_others, refuse_unwritable

if TYPE_CHECKING:
    from rich.table import Table

    from adrgd.falsify.run import Verdict

DESCRIPTION = (
    "Search a counterexample to a VNN-LIB property of an ONNX network, or prove that there is none; or both for a "
    "list of them."
)


@flags
@dataclass(frozen=True, kw_only=True)
class Options:
    """What to search, and for how long."""

    network: tyro.conf.Positional[str | None] = None
    """FILE.onnx or FILE.onnx.gz; of several networks "[('f', 'FILE.onnx'), ('g', 'FILE.onnx')]"."""
    prop: tyro.conf.Positional[Path | None] = None
    """FILE.vnnlib or FILE.vnnlib.gz."""
    instances: Path | None = None
    """Instead of the two: a csv file with onnx,vnnlib,timeout a line."""
    timeout: float | None = None
    """Seconds for everything (60 unless given); with --instances, the most that any line of the list gets."""
    tolerance: float = 0.0
    """How far a counterexample may lie outside its box and miss a constraint; a proof then is one of that too."""
    prove: bool = True
    """Only search; otherwise a proof that there is no counterexample is looked for in turns with the search."""
    proof: Path | None = field(default=None, metadata={"metavar": "FILE"})
    """File for the proof of `unsat`, which `adrgd check-proof` checks; writing it may take --timeout once more."""
    seed: int = 0
    """Of all randomness."""
    out: Path | None = field(default=None, metadata={"metavar": "FILE"})
    """File for the verdict and the counterexample; with --instances, a new folder (runs/TIME-falsify unless given)."""
    resume: bool = False
    """Go on with what was stopped (with --instances and --out)."""
    processes: int = 1
    """Instances that are worked on side by side (with --instances)."""
    device: str = "cpu"
    """Where the search computes: auto, cpu, cuda, cuda:1, ... (for one instance)."""
    threads: int | None = None
    """Processor threads of torch (for one instance; a list uses one for each process)."""
    json: bool = False
    """Print one JSON object and nothing else."""


class UnsavedError(UsageError):
    """The verdict could not be written; `below` is the counterexample, which must not be lost with it."""

    def __init__(self, message: str, below: str) -> None:
        super().__init__(message)
        self.below = below


def command(argv: list[str]) -> int:
    """Run `adrgd falsify`: 0 whatever the verdict, 2 when there is none; then the first line printed is `error`."""
    try:
        options: Options = cli(Options, _today(argv), prog="adrgd falsify", description=DESCRIPTION)
        _check(options)
        if options.instances is not None:
            return _many(options, options.instances)
        if options.network is None or options.prop is None:
            raise UsageError("expected a network and a property, or --instances FILE; name the files")
        return _one(options, options.network, options.prop)
    except Exception as error:
        reason = sentence(error)
        below = error.below if isinstance(error, UnsavedError) else ""
        _print(json.dumps({"answer": "error", "message": reason}) if "--json" in argv else f"error\n{below}".rstrip())
        raise UsageError(reason) from error


def _today(argv: list[str]) -> list[str]:
    """`--resume FOLDER` of before as `--resume --out FOLDER`."""
    at = argv.index("--resume") + 1 if "--resume" in argv and "--instances" in argv else len(argv)
    if at == len(argv) or argv[at].startswith("-"):
        return argv
    say_renamed("--resume FOLDER", "--resume --out FOLDER", goes=GOES)
    return [*argv[:at], "--out", *argv[at:]]


def _check(options: Options) -> None:
    if options.instances is not None and options.network is not None:
        raise UsageError("--instances names all files itself; leave the network and the property away")
    if options.instances is None and options.resume:
        raise UsageError("--resume goes on with a list of instances; add --instances FILE")
    if options.proof is not None and (options.instances is not None or not options.prove):
        raise UsageError("--proof is for one instance, and needs a proof; leave --instances and --no-prove away")
    if options.instances is not None and options.device != "cpu":
        raise UsageError("--device is for one instance; a list has a processor for each of its --processes")
    if options.resume and options.out is None:
        raise UsageError("--resume needs the run's folder: add --out FOLDER")
    positive(options.processes, "processes")
    if options.threads is not None:
        import torch

        torch.set_num_threads(positive(options.threads, "threads"))


def _one(options: Options, words: str, prop: Path) -> int:
    if options.out is not None:
        refuse_others(options.out, _is_verdict)
    try:
        return _decided(options, words, prop)
    except UnsavedError:
        raise
    except Exception:
        if options.out is not None:
            with contextlib.suppress(OSError):  # the reason is of more use than that it could not be written down
                _write(options.out, "error")
        raise


def _decided(options: Options, words: str, prop: Path) -> int:
    from adrgd.falsify.networks import network_files
    from adrgd.falsify.run import falsify

    if options.proof is not None:
        from adrgd.recheck.proof_file import is_proof

        refuse_others(options.proof, is_proof, option="--proof")
        refuse_unwritable(options.proof, option="--proof")
    from adrgd.cli.progress import progress_bar

    network, device = network_files(words), usable_device(options.device)
    with progress_bar() as bar:
        bar.add_task("searching and proving" if options.prove else "searching", total=None)
        verdict = falsify(
            network, prop, timeout=60.0 if options.timeout is None else options.timeout, seed=options.seed,
            tolerance=options.tolerance, spent=_spent(), device=device, prove=options.prove, proof_file=options.proof,
        )  # fmt: skip
    if options.out is not None:
        _save(options.out, verdict)
    _print(json.dumps(_plain(options, verdict)) if options.json else verdict.text())
    if verdict.message and not options.json:
        print(verdict.message, file=sys.stderr)
    return 1 if options.proof is not None and verdict.answer == "unsat" and verdict.proof is None else 0


def _many(options: Options, file: Path) -> int:
    from adrgd.falsify.batch import Batch
    from adrgd.falsify.instances import read_instances
    from adrgd.falsify.summary import ANSWERS

    out = options.out or Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-falsify"
    batch = Batch(
        read_instances(file, cap=options.timeout), out, seed=options.seed, tolerance=options.tolerance,
        config={"adrgd": __version__, "timeout": options.timeout}, resume=options.resume, prove=options.prove,
    )  # fmt: skip
    advice = f"go on with the same command and --resume --out {out}"
    from adrgd.cli.progress import printer, progress_bar

    try:
        with advised(advice), progress_bar() as progress, closing(batch.run(options.processes)) as results:
            done = len(batch.instances) - len(batch.pending())
            task = progress.add_task("searching and proving", total=len(batch.instances), completed=done)
            for result in results:
                if not options.json:
                    print(f"{result.answer} {result.seconds:.2f}s {result.onnx} {result.vnnlib}", flush=True)
                progress.advance(task)
        summary = batch.finish()
    except KeyboardInterrupt:
        print(f"interrupted; {advice}", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(summary))
    else:
        counts = ", ".join(f"{summary[answer]} {answer}" for answer in ANSWERS)
        print()
        printer().print(_table(summary))
        print(f"{summary['instances']} instances: {counts}; results: {out}/report.html")
    return 0


def _table(summary: dict[str, Any]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from adrgd.falsify.summary import table

    header, *lines = table(summary)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in header:
        shown.add_column(name, justify="left" if name == "folder" else "right", overflow="fold")
    for line in lines:
        shown.add_row(*line)
    return shown


def _is_verdict(head: bytes) -> bool:
    from adrgd.falsify.summary import ANSWERS

    return head.partition(b"\n")[0].strip().decode(errors="replace") in ANSWERS


def _save(out: Path, verdict: Verdict) -> None:
    try:
        _write(out, verdict.text())
    except OSError as error:
        below = verdict.counterexample.text() if verdict.counterexample else ""
        raise UnsavedError(
            f"cannot write {out} ({error.strerror}), so that the answer {verdict.answer!r} was not saved; "
            "choose another --out",
            below,
        ) from error


def _write(out: Path, text: str) -> None:
    if out.exists() and not out.is_file():  # a device or a pipe cannot be replaced by a file
        out.write_text(text + "\n", encoding="utf-8")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text + "\n")


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        # what is left in the buffer would fail once more when the process ends, and change its exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader that has seen enough, as `head -1`, is no failure
            raise UsageError(f"cannot print the verdict ({error.strerror}); send it somewhere else") from error


def _plain(options: Options, verdict: Verdict) -> dict[str, Any]:
    found = verdict.counterexample
    return {
        "network": str(options.network), "property": str(options.prop), "answer": verdict.answer,
        "counterexample": found and {"x": found.x.tolist(), "y": found.y.tolist(), "case": found.case},
        "found_by": verdict.found_by, "message": verdict.message,
        "seconds": verdict.seconds, "load_seconds": verdict.load_seconds,
        "search_seconds": verdict.search_seconds, "proof_seconds": verdict.proof_seconds,
        "rounds": verdict.rounds, "passes": verdict.passes, "nodes": verdict.nodes, "proven": verdict.proven,
        "proof": None if verdict.proof is None else str(verdict.proof),
        "seed": options.seed, "tolerance": options.tolerance,
    }  # fmt: skip


def _spent() -> float:
    """Seconds since this process began, where it began for this command: they count towards the timeout."""
    if sys.argv[1:2] != ["falsify"]:
        return 0.0
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return max(time.process_time(), time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, AttributeError):  # not Linux: the processor's time is most of it
        return time.process_time()
