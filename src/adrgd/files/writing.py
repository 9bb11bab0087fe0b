"""Files that are either whole or absent: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.adrgd", re.DOTALL)
"""Names of files that are not whole yet; one that is left was left by a kill."""

CHUNK = 1 << 20  # bytes that go to the system at once, and are read at once


class Stream(io.RawIOBase):
    """A new file that knows the SHA-256 of what went into it.

    Attributes:
        failure: what the system said when it could take no more; libraries say it in other words, or not at all.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
        self._held = bytearray()
        self._hash = hashlib.sha256()
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if len(self._held) + len(view) < CHUNK:
            self._held += view
        else:
            self._send(self._held)
            self._held = bytearray()
            self._send(view)
        return len(view)

    def finish(self) -> str:
        """Put all of it on the disk; returns its SHA-256 in hexadecimal digits."""
        self._send(self._held)
        self._held = bytearray()
        try:
            os.fsync(self._file)
        except OSError as error:
            self.failure = error
            raise
        return self._hash.hexdigest()

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._file)

    def _send(self, data: bytearray | memoryview) -> None:
        if self.failure is not None:
            raise self.failure
        self._hash.update(data)
        try:
            write_all(self._file, data)
        except OSError as error:
            self.failure = error
            raise


@contextmanager
def writing(path: Path, before: Callable[[str], None] | None = None) -> Iterator[Stream]:
    """Yield a stream for the content of a file, which takes the place of `path` when the block ends without an error.

    Args:
        before: told the SHA-256 of the whole content, on disk by then, just before it takes its place. What it makes
            sure of on disk must come first, so the place itself is then left to the next one to make sure of.

    Raises:
        OSError: the file cannot be written; whatever a library has made of it.
    """
    temporary = _beside(path)
    temporary.unlink(missing_ok=True)  # of a process that was killed and had the same number
    stream = Stream(temporary)
    try:
        try:
            yield stream
            digest = stream.finish()
        except Exception as error:
            if stream.failure is None or error is stream.failure:
                raise
            raise stream.failure from error
        finally:
            stream.close()
        if before is not None:
            before(digest)
        os.replace(temporary, path)
        if before is None:
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it takes the place of `path` when the block ends without an error."""
    temporary = _beside(path)
    with Stream(temporary) as new:  # some libraries give their files a mode of their own: the umask decides for all
        mode = os.fstat(new._file).st_mode
    temporary.unlink()
    try:
        yield temporary
        if temporary.stat().st_mode != mode:
            temporary.chmod(mode & 0o7777)
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece."""
    with writing(path) as stream:
        stream.write(text.encode("utf-8"))


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file, in one piece."""
    with whole(path) as temporary:
        write(temporary)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write to an open file, in as many pieces as the system asks for."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(path: Path) -> None:
    """Make sure of a file's content, or of a folder's entries, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those that it lies in, on disk."""
    missing = [one for one in (path, *path.parents) if not one.is_dir()]
    if missing:
        path.mkdir(parents=True, exist_ok=True)
    for one in missing:
        with suppress(OSError):  # a folder in which we may not look keeps it all the same
            sync(one.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.adrgd")
