"""Files that a person names for a result: new ones, or such as the same command has written before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adrgd.errors import UsageError

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
