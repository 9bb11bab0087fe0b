"""Every error the project raises on purpose: one sentence that says what was expected, what was found, what to do."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from typing import Any

LONGEST = 4_000
"""Signs of a sentence; a longer one lacks its middle."""

NO_ROOM = (
    "allocate memory", "out of memory", "not enough memory", "failed to allocate", "could not create a primitive",
    "could not create a memory", "bad_alloc",
)  # fmt: skip
"""What torch, and what it is made of, say where there is no memory left."""


class AdrgdError(Exception):
    """The root of the project's errors; the command line turns `exit_code` into its own."""

    exit_code = 1

    def __str__(self) -> str:
        """One line that can be read, whatever the names and the words of others in it are made of."""
        text = self._one_line()
        return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"

    def _one_line(self) -> str:
        return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda sign: repr(sign[0])[1:-1], super().__str__())


class UsageError(AdrgdError, ValueError):
    """The request itself cannot be carried out as given."""

    exit_code = 2


class DomainError(UsageError):
    """The set of allowed inputs is empty, malformed, or does not fit the inputs."""


class ModelError(UsageError):
    """A model cannot be loaded, or is not a fixed function that treats the rows of a batch independently."""


class NoGradientError(UsageError):
    """A value does not depend on the inputs through differentiable operations; attacks without gradients may do."""


class DataError(UsageError):
    """Images or labels are missing, unreadable or out of range."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""


class RunFolderError(AdrgdError):
    """A run folder is corrupt, or belongs to another run."""


class AdrgdWarning(UserWarning):
    """Something that was not done as asked, or was found and mended; the command line prints it as one line."""


class RunFolderWarning(AdrgdWarning):
    """A run folder's file was damaged, or cannot be checked."""


INSIDE = ("adrgd", "torch")  # packages between a caller and what is said to him


def warn(sentence: str, kind: type[Warning] = AdrgdWarning) -> None:
    """Say something once, at the line of the caller who is not of this package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, kind, stacklevel=level)


def sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, AdrgdError):
        return str(error)
    if out_of_memory(error):
        return "memory ran out; let the process have more of it, or give it less to do"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0] or 'no message'}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no room, which torch does in words."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and any(words in str(error).lower() for words in NO_ROOM)
    )


def installing(extra: str) -> str:
    """The command that installs an extra: from the checkout that this package was installed from, or by its name."""
    import importlib.metadata  # each takes a while, and few errors need them
    import json

    try:
        told = importlib.metadata.distribution("adrgd").read_text("direct_url.json")
        url = str(json.loads(told or "{}").get("url", ""))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        url = ""
    place = url.removeprefix("file://") if url.startswith("file://") else "adrgd"
    return f'pip install "{place}[{extra}]"'


def optional(module: str, *, extra: str) -> Any:
    """Import an optional dependency, or say which extra of the package brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"this needs the Python package '{module.partition('.')[0]}', which cannot be imported ({error}); "
            f"install it with: {installing(extra)}"
        ) from error
