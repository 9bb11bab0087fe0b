"""Files that a person names for a result: new ones, or such as the same command has written before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from adrgd.errors import UsageError
from adrgd.files.writing import make_folder

HEAD = 1 << 16  # bytes that tell what a file is


def refuse_others(path: Path, ours: Callable[[bytes], bool], *, option: str = "--out") -> None:
    """See to it that nothing of anybody else's is lost when a result takes the place of `path`.

    Args:
        ours: told how a file begins, whether it is a result of the same kind; an empty file is anybody's.
        option: what names the file.

    Raises:
        UsageError: another file is there.
    """
    if not path.is_file():  # a device or a pipe is written to, not replaced
        return
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise UsageError(f"{path} is there and cannot be read ({error.strerror}); choose another {option}") from error
    if head and not ours(head):
        raise UsageError(
            f"{path} is there and no earlier result of this command, so that it is left alone; choose another "
            f"{option}, or move it away"
        )


def refuse_unwritable(path: Path, *, option: str = "--out") -> None:
    """See before long work that its result can be put where it was asked for; folders that it needs are made.

    Raises:
        UsageError: there is no place for a file.
    """
    try:
        make_folder(path.parent)
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is {'a folder' if path.is_dir() else 'no file'}; name a file with {option}")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror or error}); choose another {option}") from error
