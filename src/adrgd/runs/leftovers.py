"""What lies in a run's folder when it is opened: nothing, a run, what a kill has left, or what is somebody else's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from adrgd.errors import RunFolderError
from adrgd.files import TEMPORARY, make_folder
from adrgd.runs.checksums import CHECKSUMS
from adrgd.runs.configs import CONFIG
from adrgd.runs.locks import LOCK

ASIDE = "set-aside"

_OF_OLD = re.compile(r"\.config\.yaml\.\d+\.tmp")  # what a kill could leave of the version without checksums


def admit(path: Path, resume: bool) -> bool:
    """Whether a folder is to be begun; otherwise it holds a run, to be gone on with.

    Raises:
        RunFolderError: neither.
    """
    try:
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} is a file; expected a folder for the run's results")
        names = {file.name for file in path.iterdir()} if path.exists() else set()
    except OSError as error:
        raise RunFolderError(f"cannot look into {path}: {error.strerror}; choose another --out") from error
    begun = {name for name in names if TEMPORARY.fullmatch(name) or _OF_OLD.fullmatch(name)} | {LOCK, CHECKSUMS}
    if not names - begun:
        return True
    if not resume:
        raise RunFolderError(f"{path} is not empty; choose another --out, or go on with that run by --resume")
    if not names & {CONFIG, CHECKSUMS}:
        raise RunFolderError(f"{path} holds no {CONFIG}, so that it is not a run's folder; choose another --out")
    return False


def sweep(path: Path) -> None:
    """Remove what kills have left of files that were being written."""
    for folder in (path, *(one for one in path.iterdir() if one.is_dir() and not one.is_symlink())):
        for file in folder.iterdir():
            if TEMPORARY.fullmatch(file.name):
                file.unlink()


def room_aside(path: Path, name: str) -> Path:
    """Where a file of the folder can be put without taking another's place.

    Raises:
        RunFolderError: there is no folder for it, and none can be made.
    """
    place, count = path / ASIDE / name, 1
    while os.path.lexists(place):
        count += 1
        place = path / ASIDE / f"{name}.{count}"
    try:
        make_folder(place.parent)
    except OSError as error:
        raise unwritten(place, error) from error
    return place


def unlink(folder: Path, names: Iterable[str]) -> None:
    """Remove these files, and the folders that are empty then."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # as long as it holds something else
            (folder / name).parent.rmdir()


def unwritten(file: Path, error: OSError) -> RunFolderError:
    """What to say of a file that cannot be written."""
    return RunFolderError(
        f"cannot write {file} ({error.strerror or error}); make room, or see to permissions, and go on with --resume"
    )
