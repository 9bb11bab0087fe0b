"""A folder is worked on by one process at a time. Its lock ends with the process, however that ends.

The lock is the system's (flock), on a file that says who holds it; a file that was left behind is no lock. On NFS the
server keeps it, for all machines that mount with locking; where a file system keeps no locks, one warning says so.
"""

from __future__ import annotations

import errno
import os
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from adrgd.errors import RunFolderError, RunFolderWarning, warn

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".adrgd.lock"
_BUSY = (errno.EWOULDBLOCK, errno.EACCES)


class Lock:
    """The right to work on a folder, until `release` or the end of the process.

    Raises:
        RunFolderError: another process has it, or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        try:
            descriptor = self._take()
        except OSError as error:
            raise RunFolderError(
                f"cannot write under {folder} ({error.strerror}); make room, or see to its permissions, and go on with "
                "--resume"
            ) from error
        self._end = weakref.finalize(self, _let_go, descriptor)
        with suppress(OSError):  # on a full disk nobody is told who holds it
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())

    def release(self) -> None:
        """Let others have it."""
        if self._end.alive:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            self._end()

    def _take(self) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                _lock(descriptor, self.path.parent)
                if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    return descriptor
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # the one who had it has removed the file meanwhile: it locks nothing


def _let_go(descriptor: int) -> None:
    with suppress(OSError):  # of a full disk, where it is closed all the same
        os.close(descriptor)


def refuse_if_busy(folder: Path) -> None:
    """Look whether a process works on a folder, without writing anything.

    Raises:
        RunFolderError: one does.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return
    try:
        _lock(descriptor, folder, quiet=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, *, quiet: bool = False) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            raise RunFolderError(
                f"{folder} is being worked on by {_holder(descriptor)}; wait for it, stop it, or choose another --out"
            ) from error
        if not quiet:
            warn(
                f"the file system of {folder} keeps no locks ({error.strerror}); see to it that no other process works "
                "there",
                RunFolderWarning,
            )


def _holder(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    number, _, host = os.read(descriptor, 300).decode(errors="replace").strip().partition(" ")
    return f"process {number} on {host}" if number.isdigit() and host else "another process"
