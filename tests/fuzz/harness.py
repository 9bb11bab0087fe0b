"""One case: drawn from its number alone, tried in an empty folder, and judged."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch

from adrgd.errors import AdrgdError

from .kinds import KINDS, one_sentence

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MEMORY = 2 * 2**30
SECONDS = 10.0
"""Of the processor: a busy machine is nobody's fault."""


@dataclass(frozen=True)
class Case:
    """Where a case comes from, and a folder for the files of all cases of its process."""

    kind: str
    number: int
    seed: int
    place: str


class LateError(BaseException):
    """A case took too long. No Exception, for a reader's own clause would take it for damage."""


def outcome(case: Case, *, raising: bool = False) -> tuple[str, str]:
    """("taken", ""), ("refused", the sentence) or ("fault", what happened)."""
    folder = Path(tempfile.mkdtemp(dir=case.place))
    draw = Random(f"{case.seed}:{case.kind}:{case.number}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            KINDS[case.kind](draw, folder)
    except AdrgdError as error:
        one_sentence(error)
        return "refused", str(error)
    except Exception as error:
        if raising:
            raise
        return "fault", f"{type(error).__name__}: {str(error)[:200]!r}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return "taken", ""


def work(case: Case) -> tuple[str, str]:
    """The outcome, under limits on memory and time; for a process of its own."""
    _begin(case)
    started = time.process_time()
    try:
        with _alarm(SECONDS):
            found = outcome(case)
    except LateError:
        return "fault", f"took more than {SECONDS:.0f} s"
    except AssertionError as error:
        return "fault", str(error)
    except MemoryError:
        return "fault", "ran out of memory"
    return found if time.process_time() - started <= SECONDS + 1 else ("fault", "took too long")


def _begin(case: Case) -> None:
    """Once a process: no words, all modules read, and no more memory than it has then and what a case may take."""
    if getattr(_begin, "done", False):
        return
    _begin.done = True  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    os.dup2(sys.stderr.fileno(), 2)
    for kind, number in (("onnx", 7), (case.kind, 0)):
        with contextlib.suppress(Exception):
            outcome(Case(kind, number, 0, case.place))
    if resource is not None and Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        size = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise LateError

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
