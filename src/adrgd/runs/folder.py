"""Folders of runs that can be resumed: each says what decides its results, and takes no other run's.

    config.yaml         everything that decides the result
    checksums.sha256    the sums of all files, see `checksums`
    set-aside/          damaged files, and those of others that stood where this run writes

A file is there whole, with a sum that it matches, or it counts as missing: one that does not match is set aside with a
warning, and made again. So every moment of a kill leaves a folder that goes on to the same result.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar, cast

from adrgd.errors import RunFolderError, RunFolderWarning, warn
from adrgd.files import digest, make_folder, sync, writing
from adrgd.runs.checksums import CHECKSUMS, TORN, Checksums
from adrgd.runs.configs import CONFIG, compare, dump, parse
from adrgd.runs.leftovers import admit, room_aside, sweep, unlink, unwritten
from adrgd.runs.locks import LOCK, Lock, refuse_if_busy

logger = logging.getLogger(__name__)

T = TypeVar("T")


def open_run(path: Path, config: dict[str, Any], *, resume: bool) -> Run:
    """Make a folder for a run with its config.yaml, or see to it that the folder holds that same run.

    Args:
        path: created when missing.
        config: everything that decides the results.
        resume: go on with what is there instead of refusing it.

    Returns:
        The folder, locked until it is closed; leave it as a context, so that it ends well or goes on another time.

    Raises:
        RunFolderError: the folder holds another run, or a damaged one, or anything at all without `resume`; or another
            process works there, or nothing can be written.
    """
    return Run(path, config, resume=resume)


class Run:
    """The folder of one run, for one process at a time. Files are named by their path inside it, with slashes.

    Attributes:
        notes: what was found damaged and was set aside, in sentences; each was a warning as well.
    """

    def __init__(self, path: Path, config: dict[str, Any], *, resume: bool) -> None:
        self.path = path
        self.notes: list[str] = []
        self._sound: set[str] = set()  # written by this process, or found as listed by it
        self._made = not path.exists()
        refuse_if_busy(path)
        admit(path, resume)
        try:
            make_folder(path)
        except OSError as error:
            raise RunFolderError(f"cannot create {path}: {error.strerror}; choose another --out") from error
        self._lock = Lock(path)
        try:
            self._fresh = admit(path, resume)  # once more: somebody may have been faster
            logger.info("folder %s: %s", path, "a new run" if self._fresh else "going on with the run that is there")
            if self._fresh:
                self._begin(config)
            else:
                self._go_on(config)
        except BaseException as error:
            self.close(error)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self.close(error)

    def has(self, name: str) -> bool:
        """Whether a file is there as this run has written it; one that is not so is set aside."""
        file = self.path / name
        if name in self._sound:
            return file.exists()
        if not os.path.lexists(file):
            return False
        found, sums = digest(file) if file.is_file() else "", self._sums.sums(name)
        if not sums and self._sums.partial and found:
            self._list(name, found)
        elif found not in sums:
            self._set_aside(name, "does not match its checksum" if sums else "is not listed as a file of this run")
            return False
        self._sound.add(name)
        return True

    def read(self, name: str, read: Callable[[Path], T]) -> T:
        """What `read` makes of a file, once it has been found as this run has written it.

        Raises:
            RunFolderError: it is damaged, and set aside, or missing.
        """
        self._sound.discard(name)  # written hours ago, perhaps
        trusted = self._sums.sums(name) and not self._sums.partial
        if not self.has(name):
            raise RunFolderError(f"{self.path / name} is damaged or missing; go on with --resume, which makes it again")
        try:
            return read(self.path / name)
        except (MemoryError, RunFolderError):
            raise
        except Exception as error:  # each format has errors of its own
            if not trusted and getattr(error, "errno", None) is None:  # the system's own errors are no damage
                self._set_aside(name, f"is damaged ({type(error).__name__})")
            raise RunFolderError(
                f"{self.path / name} cannot be read ({type(error).__name__}); go on with --resume"
                + ("" if trusted else ", which makes it again")
            ) from error

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Yield a stream for the content of a file, which is there as a whole, and listed, when the block ends.

        Raises:
            RunFolderError: it cannot be written; the one before is still there.
        """
        file = self.path / name
        try:
            if name not in self._sound:
                self.has(name)  # what somebody else has put there is set aside
            make_folder(file.parent)
            with writing(file, before=lambda found: self._sums.add(name, found)) as stream:
                yield cast(BinaryIO, stream)
        except OSError as error:
            raise unwritten(file, error) from error
        self._sound.add(name)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        self.write_bytes(name, text.encode("utf-8"))

    def write_bytes(self, name: str, content: Any) -> None:
        """Write a file of bytes."""
        with self.write(name) as stream:
            stream.write(content)

    def remarks(self) -> dict[str, Any]:
        """What a summary has to say of the folder: nothing, as a rule."""
        return {"set_aside": list(self.notes)} if self.notes else {}

    def keep(self, names: Iterable[str]) -> None:
        """List files that a library has written in the folder, and has closed."""
        try:
            for name in names:
                sync(self.path / name)
                self._list(name, digest(self.path / name))
        except OSError as error:
            raise unwritten(self.path / CHECKSUMS, error) from error

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that this run has written, and the folders that are empty then."""
        mine = [name for name in names if self._sums.sums(name)]
        try:
            self._sums.remove(mine)
            unlink(self.path, mine)
        except OSError as error:
            raise unwritten(self.path / CHECKSUMS, error) from error
        self._sound.difference_update(mine)

    def finish(self) -> None:
        """Say that everything is there: from now on a file that is listed and missing is a fault."""
        try:
            settled = {}
            for name in self._sums.names():
                sums = self._sums.sums(name)
                file = self.path / name
                if file.exists():
                    settled[name] = sums[0] if len(sums) == 1 else digest(file)
            self._sums.settle(settled, finished=True)
        except OSError as error:
            raise unwritten(self.path / CHECKSUMS, error) from error

    def close(self, error: BaseException | None = None) -> None:
        """Let others have the folder; when nothing came of a new one because of an error, it is removed again."""
        try:
            if isinstance(error, Exception) and getattr(self, "_fresh", False):
                self._discard()
        finally:
            self._lock.release()

    def _begin(self, config: dict[str, Any]) -> None:
        sweep(self.path)
        try:
            self._sums = Checksums.begin(self.path)
        except OSError as error:
            raise unwritten(self.path / CHECKSUMS, error) from error
        self.write_text(CONFIG, dump(config))

    def _go_on(self, config: dict[str, Any]) -> None:
        sweep(self.path)
        try:
            self._sums = Checksums.read(self.path)
        except FileNotFoundError:
            compare(parse(self.path / CONFIG), config, self.path)
            self._sums = Checksums.begin(self.path, partial=True)
            self._tell(f"{self.path} was begun by a version that kept no checksums; its files are taken as they are")
        faults = list(dict.fromkeys(self._sums.faults))
        if faults:
            self._mend(faults)
        self._remove_what_is_left()
        text, sums, file = dump(config), self._sums.sums(CONFIG), self.path / CONFIG
        given, there = hashlib.sha256(text.encode()).hexdigest(), digest(file) if file.is_file() else ""
        if there and not sums and (self._sums.partial or (faults and there == given)):
            self._list(CONFIG, there)
            sums = (there,)
        if there in sums:
            self._sound.add(CONFIG)
            if there != given:
                compare(parse(file), config, self.path)
        elif given in sums:  # the very settings that stood there
            self.write_text(CONFIG, text)
        else:
            raise RunFolderError(
                f"{file} was changed or removed after it had been written, and the settings given here are not those "
                "that it had; give the same ones again, or choose another --out"
            )
        for name in self._sums.names():
            self.has(name)  # nothing damaged is left for anybody to come upon

    def _list(self, name: str, found: str) -> None:
        self._sums.add(name, found)
        self._sound.add(name)

    def _matches(self, name: str, sums: tuple[str, ...]) -> bool:
        file = self.path / name
        return file.is_file() and digest(file) in sums

    def _mend(self, faults: list[str]) -> None:
        """Go on with what can be trusted of the list, which is never gone: without it, all would be believed."""
        harmless = faults == [TORN]
        try:
            if not harmless:
                with writing(room_aside(self.path, CHECKSUMS)) as stream:
                    stream.write(self._sums.path.read_bytes())
            self._sums.mend()
        except OSError as error:
            raise unwritten(self._sums.path, error) from error
        if not harmless:
            self._tell(f"{self._sums.path} {' and '.join(faults)}: what cannot be trusted of it is made again")

    def _set_aside(self, name: str, why: str) -> None:
        place = room_aside(self.path, name)
        try:
            os.rename(self.path / name, place)
        except OSError as error:
            raise unwritten(place, error) from error
        self._tell(
            f"{self.path / name} {why}: it is set aside as {place.relative_to(self.path)}; what is needed is made again"
        )

    def _tell(self, sentence: str) -> None:
        self.notes.append(sentence)
        warn(sentence, RunFolderWarning)

    def _remove_what_is_left(self) -> None:
        """Files that are listed no more, where a kill came before they were gone."""
        unlink(self.path, [name for name, sums in self._sums.removed().items() if self._matches(name, sums)])

    def _discard(self) -> None:
        """Remove a folder in which there is nothing but the settings; never one that holds a file of anybody else."""
        there = {file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if not file.is_dir()}
        if there <= {CONFIG, CHECKSUMS, LOCK}:
            with suppress(OSError):  # folders first: with them and without settings it would be nobody's
                for folder in sorted((one for one in self.path.rglob("*") if one.is_dir()), reverse=True):
                    folder.rmdir()
                for one in (CONFIG, CHECKSUMS):
                    (self.path / one).unlink(missing_ok=True)
                self._lock.release()
                if self._made:
                    self.path.rmdir()
