"""Read properties in VNN-LIB, the language of the Verification of Neural Networks Competition."""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adrgd.falsify.alternatives import TimeUpError
from adrgd.falsify.property import Property, PropertyError
from adrgd.falsify.vnnlib1 import parse
from adrgd.falsify.vnnlib2 import parse as parse_version_2
from adrgd.files import reading

VERSION_2 = re.compile(r"(?:\s|;[^\n]*\n)*\(\s*(?:vnnlib-version|declare-network)\b")


def load_property(path: Path, *, deadline: float = math.inf) -> Property:
    """Read a .vnnlib or .vnnlib.gz file, of version 1 or 2.

    Raises:
        PropertyError: the file cannot be read, is malformed, or asks for more than linear constraints over a box.
        TimeUpError: the deadline, a value of `time.monotonic()`, has passed.
    """
    try:
        text = reading.read_text(path, "text")
    except (OSError, UnicodeDecodeError) as error:
        raise PropertyError(
            f"expected a readable VNN-LIB file at {str(path)!r}, found: {error}; check the path and the file"
        ) from error
    return read_property(text, source=str(path), deadline=deadline)


def read_property(text: str, *, source: str = "the text", deadline: float = math.inf) -> Property:
    """The property that a VNN-LIB text states; `source` names it in errors.

    Raises:
        PropertyError: as in `load_property`.
    """
    read = parse_version_2 if VERSION_2.match(text) else parse
    try:
        with _without_collection():
            return read(text, deadline=deadline)
    except TimeUpError:
        raise
    except PropertyError as error:
        raise PropertyError(f"{source}: {error}") from error


@contextmanager
def _without_collection() -> Iterator[None]:
    """Reading makes very many small objects and no cycles; looking for cycles meanwhile takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
