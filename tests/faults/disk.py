"""A disk that remembers every state of a folder, or that fails at a chosen operation."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPERATIONS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "ftruncate", "chmod", "close")
SPACE = ("open", "write", "fsync", "replace", "rename", "mkdir", "close")  # what a full disk refuses, files being made

_raw_write = os.write

Before = Callable[[int, str, Path, Callable[[], Any], tuple[Any, ...]], Any]
"""Given the number of an operation, its name and file, itself, and its arguments; returns what it returns."""


class Killed(BaseException):
    """The process ended here."""


@contextmanager
def watched(folder: Path, before: Before, *, ignore: str = "tensorboard", said: bool = False) -> Iterator[None]:
    """Hand every operation on files under a folder that can change it to `before`, which carries it out or not.

    Args:
        said: closing a file counts too: a full disk may say so then.
    """
    real = {name: getattr(os, name) for name in OPERATIONS}
    names: dict[int, Path] = {}
    count = 0

    def patched(name: str) -> Callable[..., Any]:
        def operation(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            first = arguments[0]
            path = names.get(first) if isinstance(first, int) else Path(os.fsdecode(first))
            if name == "close":
                names.pop(first, None)
            if path is None or (path != folder and folder not in path.parents) or ignore in path.parts:
                return real[name](*arguments, **more)
            if name == "close" and not said:
                return real[name](*arguments, **more)
            if name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                found = real[name](*arguments, **more)  # reading changes nothing
                names[found] = path
                return found
            count += 1
            found = before(count - 1, name, path, lambda: real[name](*arguments, **more), arguments)
            if name == "open":
                names[found] = path
            return found

        return operation

    for name in OPERATIONS:
        setattr(os, name, patched(name))
    try:
        yield
    finally:
        for name in OPERATIONS:
            setattr(os, name, real[name])


@dataclass
class States:
    """Every state that a folder has had, as a copy: what a kill at each operation would have left.

    Attributes:
        operations: how many there were.
        found: the copies, without those that are like the one before; the first is of nothing at all.
    """

    folder: Path
    room: Path
    operations: int = 0
    found: list[Path] = field(default_factory=list)
    _last: object = None

    def record(self, work: Callable[[], object]) -> None:
        """Do some work and remember each state, those in the middle of a write among them."""
        self._copy()
        with watched(self.folder, self._before):
            work()

    def put_back(self, state: Path) -> None:
        """Make the folder what it was."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if state.exists():
            shutil.copytree(state, self.folder, symlinks=True)

    def _before(self, number: int, name: str, path: Path, carry_out: Callable[[], Any], arguments: Any) -> Any:
        self.operations = number + 1
        if name == "write" and len(arguments[1]) > 1:
            data = memoryview(arguments[1]).cast("B")
            written = _raw_write(arguments[0], data[: len(data) // 2])  # a kill may come in the middle
            self._copy()
            result: Any = written + _raw_write(arguments[0], data[written:])
        else:
            result = carry_out()
        if name != "fsync":
            self._copy()
        return result

    def _copy(self) -> None:
        files = sorted(self.folder.rglob("*"))
        now = [(file, file.read_bytes() if file.is_file() else None) for file in files], self.folder.exists()
        if now != self._last:
            self._last = now
            place = self.room / f"{len(self.found):04d}"
            if self.folder.exists():
                shutil.copytree(self.folder, place, symlinks=True)
            self.found.append(place)


@contextmanager
def full_from(folder: Path, start: int, *, once: bool = False) -> Iterator[list[str]]:
    """A disk that has no room from the start-th operation on; yields a list that tells at which file it was met.

    Args:
        once: there is room again after that operation.
    """
    met: list[str] = []

    def before(number: int, name: str, path: Path, carry_out: Callable[[], Any], arguments: Any) -> Any:
        if (number == start if once else number >= start) and name in SPACE:
            met.append(path.name)
            if name == "write":
                _raw_write(arguments[0], memoryview(arguments[1]).cast("B")[: len(arguments[1]) // 3])
            if name == "close":
                carry_out()  # it is closed all the same
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return carry_out()

    with watched(folder, before, said=True):
        yield met


def operations(folder: Path, work: Callable[[], object]) -> list[tuple[str, Path]]:
    """What some work does to files under a folder, closing them included."""
    found: list[tuple[str, Path]] = []

    def before(number: int, name: str, path: Path, carry_out: Callable[[], Any], arguments: Any) -> Any:
        found.append((name, path))
        return carry_out()

    with watched(folder, before, said=True):
        work()
    return found


@contextmanager
def full_for_curves(start: int, *, once: bool = False) -> Iterator[list[int]]:
    """A disk that has no room for what TensorBoard writes, from the start-th piece on; yields the pieces met so far.

    It writes in a thread of its own, and in Python's own way, which no operation of `os` shows.
    """
    from tensorboard.compat.tensorflow_stub.io.gfile import LocalFileSystem

    real, met = LocalFileSystem._write, [0]

    def write(self: Any, name: Any, *arguments: Any) -> None:
        met[0] += 1
        if met[0] == start + 1 if once else met[0] > start:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(name))
        real(self, name, *arguments)

    LocalFileSystem._write = write
    try:
        yield met
    finally:
        LocalFileSystem._write = real


@contextmanager
def killed_at(folder: Path, start: int) -> Iterator[None]:
    """From the start-th operation on, nothing is carried out any more, and whoever tries is told so."""

    def before(number: int, name: str, path: Path, carry_out: Callable[[], Any], arguments: Any) -> Any:
        if number >= start:
            raise Killed
        return carry_out()

    with watched(folder, before):
        yield
