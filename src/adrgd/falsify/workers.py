"""Jobs in processes of their own: one that dies, or hangs, takes nothing with it but its job."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

import torch

from adrgd.errors import UsageError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

STANDARD = 3  # files that every process has open
FILES_EACH = 2  # that stay open for a process: its connection, and what tells of its end
FILES_SPARE = 10  # that starting one, and reading modules, takes for a moment
PATIENCE = 5.0  # seconds for a process to end that has let go of its connection

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """How one job ended.

    Attributes:
        place: of the job in the sequence that was given.
        result: None when its process ended first, for the `reason`.
        seconds: since the job was handed out.
    """

    place: int
    result: Result | None
    reason: str
    seconds: float


def run_jobs(
    jobs: Sequence[Job], work: Callable[[Job], Result], *, processes: int, limit: Callable[[Job], float]
) -> Iterator[Done[Result]]:
    """Run `work` on every job, and yield each as soon as it is done.

    The processes are spawned, use one thread each, and end with this iterator.

    Args:
        work: a function of a module, which returns its failures instead of raising them.
        limit: seconds after which a job's process is killed.

    Raises:
        UsageError: the system does not allow enough open files, or processes, for so many.
    """
    _check_files(min(processes, len(jobs)))
    waiting = list(enumerate(jobs))[::-1]
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                workers.append(_Worker(work))
                workers[-1].give(*waiting.pop(), limit)
            nearest = max(0.0, min(worker.deadline for worker in workers) - time.monotonic())
            ready = wait([worker.connection for worker in workers], timeout=nearest)
            for worker in list(workers):
                if worker.connection not in ready and time.monotonic() < worker.deadline:
                    continue
                done: Done[Result] = worker.collect(late=worker.connection not in ready)
                if done.result is not None and waiting:
                    worker.give(*waiting.pop(), limit)
                else:
                    worker.end()
                    workers.remove(worker)
                yield done
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process, and the job that it was given last."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, work), daemon=True)
        try:
            with _signals_held_back():
                self.process.start()
        except OSError as error:
            self.connection.close()
            other.close()
            raise UsageError(
                f"cannot start another process ({error.strerror or error}); use fewer, or let the system allow more"
            ) from error
        other.close()
        self.place, self.started, self.deadline = -1, 0.0, 0.0

    def give(self, place: int, job: Job, limit: Callable[[Job], float]) -> None:
        self.place, self.started = place, time.monotonic()
        self.deadline = self.started + limit(job)
        with contextlib.suppress(BrokenPipeError):  # a process that is dead already is noticed by `collect`
            self.connection.send(job)

    def collect(self, *, late: bool) -> Done[Any]:
        result, reason = None, "it did not end in time and was killed"
        if not late:
            try:
                result, reason = self.connection.recv(), ""
            except (EOFError, OSError):
                self.process.join(PATIENCE)
                self.process.kill()  # of no use without its connection, should it still be there
                self.process.join()
                code = self.process.exitcode or 0
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                reason = f"its process {how}" + (", as when memory runs out" if code == -signal.SIGKILL else "")
        return Done(self.place, result, reason, time.monotonic() - self.started)

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


def _check_files(processes: int) -> None:
    """See that there is room for the files that so many processes keep open here, and one of them opens."""
    if resource is None:
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        there = len(os.listdir("/dev/fd"))
    except OSError:
        there = STANDARD
    needed = there + FILES_EACH * processes + FILES_SPARE
    if 0 <= allowed < needed:
        raise UsageError(
            f"{processes} processes need about {needed} open files, and the system allows {allowed}; raise that "
            "(ulimit -n), or use fewer processes"
        )


def _serve(connection: Connection, work: Callable[[Any], Any]) -> None:
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, OSError):  # the other side is gone
        while True:
            connection.send(work(connection.recv()))


def _end_with_the_first() -> None:
    """A job may go on for minutes; nobody would take its result."""
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
        os._exit(1)


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """A process inherits this when it starts: Ctrl-C and SIGTERM, which may reach all at once, are for the first alone.

    They wait for the first process meanwhile, instead of getting lost.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which a first start does otherwise, letting the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
