"""What a folder's files must be: a list of SHA-256 sums, written before each file takes its place.

The list is what `sha256sum -c` reads. It grows by records of one or more lines, each closed by a comment with a CRC of
the record and of the closing line before, so that a damaged record is known and takes no other with it:

    # adrgd checksums 1
    # 5b1f0c2e
    9f86d081884c7d65...  parts/00000000.parquet
    # 03ad91c4
    # removed parts/00000000.parquet
    # finished
    # 77f10a9b

A file is listed before it takes its place, so a kill in between leaves the file before it, or none: the last two sums
of a name are both right.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from adrgd.errors import RunFolderError
from adrgd.files import write_all, writing

CHECKSUMS = "checksums.sha256"

HEADER = b"# adrgd checksums 1\n"
WITHOUT = b"# begun without checksums\n"
FINISHED = b"# finished\n"
REMOVED = b"# removed "

TORN = "ends in the middle of a record"  # as a kill leaves it, which loses nothing: the file has not taken its place

_CLOSING = re.compile(rb"# [0-9a-f]{8}\n")
_SUM = re.compile(rb"(\\?)([0-9a-f]{64})  ([^\n]+)\n")


class Checksums:
    """The list of one folder.

    Attributes:
        faults: what is wrong with the list itself, in words that follow its name.
        finished: whether every file that is listed must be there.
        partial: whether the folder was begun by a version that kept no checksums, so that files may lack theirs.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CHECKSUMS
        self.faults: list[str] = []
        self.finished = self.partial = False
        self._sums: dict[str, tuple[str, ...]] = {}
        self._gone: dict[str, tuple[str, ...]] = {}
        self._closing = b""
        self._length = 0

    @staticmethod
    def begin(folder: Path, *, partial: bool = False) -> Checksums:
        """Start the list of a folder that has none."""
        found = Checksums(folder)
        found.partial = partial
        found._rewrite({})
        return found

    @staticmethod
    def read(folder: Path) -> Checksums:
        """The list of a folder.

        Raises:
            FileNotFoundError: there is none.
            RunFolderError: it cannot be read.
        """
        found = Checksums(folder)
        try:
            found._parse(found.path.read_bytes())
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RunFolderError(f"{found.path} cannot be read ({error.strerror}); see to its permissions") from error
        return found

    def names(self) -> list[str]:
        """All files that are listed."""
        return list(self._sums)

    def sums(self, name: str) -> tuple[str, ...]:
        """The sums that a file may have; none when it is not listed."""
        return self._sums.get(name, ())

    def removed(self) -> Mapping[str, tuple[str, ...]]:
        """Files that were to be removed, and may still be there after a kill, with their sums."""
        return self._gone

    def add(self, name: str, digest: str) -> None:
        """List a file with its sum, on disk.

        Raises:
            OSError: the list cannot grow; it stays as it was.
        """
        self._append(_line(name, digest))
        self._gone.pop(name, None)
        self._sums[name] = (*self._sums.get(name, ())[-1:], digest)

    def remove(self, names: Iterable[str]) -> None:
        """List files no more, on disk."""
        listed = [name for name in names if name in self._sums]
        if listed:
            self._append(b"".join(REMOVED + _escape(name)[1] + b"\n" for name in listed))
            self._gone |= {name: self._sums.pop(name) for name in listed}

    def settle(self, sums: Mapping[str, str], *, finished: bool) -> None:
        """Replace the list by a short one: each file's one sum."""
        self._rewrite(sums, finished=finished)

    def mend(self) -> None:
        """Replace a damaged list by what can be trusted of it."""
        self._rewrite(self._sums, finished=False)
        self.faults = []

    def _rewrite(self, sums: Mapping[str, str | tuple[str, ...]], *, finished: bool = False) -> None:
        every = {name: (found,) if isinstance(found, str) else found for name, found in sums.items()}
        records = [HEADER + (WITHOUT if self.partial else b"")]
        records += [_line(name, one) for name, found in sorted(every.items()) for one in found]
        records += [FINISHED] if finished else []
        text, closing = b"", b""
        for record in records:
            closing = _close(closing, record)
            text += record + closing
        with writing(self.path) as stream:
            stream.write(text)
        self._sums, self._gone, self.finished = every, {}, finished
        self._closing, self._length = closing, len(text)

    def _append(self, record: bytes) -> None:
        closing = _close(self._closing, record)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            write_all(descriptor, record + closing)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):  # half a record would hide the next one
                os.ftruncate(descriptor, self._length)
            raise
        finally:
            os.close(descriptor)
        self._closing, self._length, self.finished = closing, self._length + len(record + closing), False

    def _parse(self, text: bytes) -> None:
        body, begun = b"", False
        for line in text.splitlines(keepends=True):
            if not _CLOSING.fullmatch(line):
                body += line
                continue
            if _close(self._closing, body) == line:
                begun |= self._take(body)
            else:
                self.faults.append("has a damaged record")
                self.finished = False
            self._closing, body = line, b""
        if body:
            self.faults.append(TORN)
        if not begun:
            self.faults.append("does not begin as such a list does")
        self._length = len(text)

    def _take(self, body: bytes) -> bool:
        """Understand a record that is sound; returns whether it was the first one."""
        self.finished = False
        begun = False
        for line in body.splitlines(keepends=True):
            matched = _SUM.fullmatch(line)
            if matched:
                name = _unescape(matched[3]) if matched[1] else os.fsdecode(matched[3])
                self._sums[name] = (*self._sums.get(name, ())[-1:], matched[2].decode())
                self._gone.pop(name, None)
            elif line.startswith(REMOVED):
                name = _unescape(line[len(REMOVED) : -1])
                self._gone[name] = self._sums.pop(name, ())
            elif line == HEADER:
                begun = True
            elif line == WITHOUT:
                self.partial = True
            elif line == FINISHED:
                self.finished = True
            else:
                self.faults.append("has a line that this version of adrgd does not know")
        return begun


def _close(before: bytes, record: bytes) -> bytes:
    return b"# %08x\n" % zlib.crc32(before + record)


def _line(name: str, digest: str) -> bytes:
    mark, text = _escape(name)
    return mark + digest.encode() + b"  " + text + b"\n"


def _escape(name: str) -> tuple[bytes, bytes]:
    """As sha256sum does: a backslash in front of the line, and for each newline and backslash of the name."""
    plain = os.fsencode(name)
    text = plain.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if text != plain else b""), text


def _unescape(text: bytes) -> str:
    meant = {b"n": b"\n", b"r": b"\r", b"\\": b"\\"}
    return os.fsdecode(re.sub(rb"\\(.)", lambda found: meant.get(found[1], found[0]), text))
