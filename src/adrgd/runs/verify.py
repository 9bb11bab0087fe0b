"""Reading run folders without working on them: is every file what it was when it was written?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adrgd.errors import RunFolderError
from adrgd.files import TEMPORARY, digest
from adrgd.runs.checksums import CHECKSUMS, Checksums
from adrgd.runs.configs import CONFIG, parse
from adrgd.runs.leftovers import ASIDE
from adrgd.runs.locks import LOCK, refuse_if_busy

NAMED = 5  # files that a sentence names


@dataclass
class Inspection:
    """What was found in one run's folder.

    Attributes:
        files: how many were compared with their checksums.
        finished: whether the run had come to its end.
        findings: what is wrong, in sentences.
        notes: what else there is to know.
    """

    path: Path
    files: int = 0
    finished: bool = False
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(folder: Path, name: str) -> None:
    """See to it that a file is as its run has written it; the run may be going on.

    Raises:
        RunFolderError: it is not.
    """
    found = digest(folder / name)  # before the list is read: a new file is listed before it takes its place
    try:
        sums = Checksums.read(folder)
    except FileNotFoundError:
        return
    if found not in sums.sums(name) and not (sums.partial and not sums.sums(name)):
        raise RunFolderError(
            f"{folder / name} does not match its checksum; go on with its run by --resume, which makes it again"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run.

    Raises:
        RunFolderError: it is no run's folder, or they were changed.
    """
    config = parse(folder / CONFIG)
    verify(folder, CONFIG)
    return config


def run_folders(path: Path) -> list[Path]:
    """The folder of a run and those of its parts, which are runs of their own.

    Raises:
        RunFolderError: there is none.
    """
    found = sorted({file.parent for name in (CONFIG, CHECKSUMS) for file in path.glob(f"**/{name}")} - {path / ASIDE})
    found = [one for one in found if ASIDE not in one.relative_to(path).parts]
    if not path.is_dir() or path not in found:
        raise RunFolderError(f"{path} is no run's folder: expected one with {CONFIG} in it; name another")
    return found


def inspect(folder: Path) -> Inspection:
    """Compare every file of one run's folder with its checksum.

    Raises:
        RunFolderError: a process is working there, or something cannot be read.
    """
    refuse_if_busy(folder)
    found = Inspection(folder)
    try:
        sums = Checksums.read(folder)
    except FileNotFoundError:
        found.notes.append("it has no checksums, as those of earlier versions: no file could be compared")
        found.finished = True  # for all that can be told
        return found
    found.finished = sums.finished
    found.findings += [f"{CHECKSUMS} {fault}" for fault in dict.fromkeys(sums.faults)]
    missing = []
    for name in sums.names():
        file = folder / name
        if not file.is_file():
            missing.append(name)
            continue
        found.files += 1
        try:
            wrong = digest(file) not in sums.sums(name)
        except OSError as error:
            raise RunFolderError(f"{file} cannot be read ({error.strerror}); see to its permissions") from error
        if wrong:
            empty = "is empty" if not file.stat().st_size else "does not match its checksum"
            found.findings.append(f"{name} {empty}")
    if CONFIG not in sums.names() and not sums.partial and not sums.faults:
        found.findings.append(f"{CONFIG} is not listed")
    if missing and sums.finished:
        found.findings += [f"{name} is missing" for name in missing]
    if not sums.finished:
        found.notes.append("the run is not finished: go on with --resume, which also makes again what is missing")
    _others(found, sums)
    return found


def _others(found: Inspection, sums: Checksums) -> None:
    """What else lies there."""
    unlisted, halves = [], []
    for file in _files(found.path):
        name = file.relative_to(found.path).as_posix()
        if TEMPORARY.fullmatch(file.name):
            halves.append(name)
        elif not sums.sums(name) and name not in (LOCK, CHECKSUMS):
            unlisted.append(name)
    if halves:
        found.notes.append(f"{_named(halves)} were being written when the run was stopped")
    if unlisted:
        why = "have no checksums, as those of earlier versions" if sums.partial else "are not listed as this run's"
        found.notes.append(f"{_named(unlisted)} {why} and were not compared")
    aside = sum(1 for file in (found.path / ASIDE).rglob("*") if file.is_file())
    if aside:
        found.notes.append(f"{aside} files were set aside in {ASIDE}")


def _files(folder: Path) -> Iterator[Path]:
    """All files, except those that were set aside and those of runs inside."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here != folder and (CONFIG in files or CHECKSUMS in files):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if here != folder or name != ASIDE)
        yield from (here / name for name in sorted(files))


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
