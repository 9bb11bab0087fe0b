"""How much a file may make the program hold, so that a few bytes on disk cannot ask for all the memory there is.

One environment variable raises them: `ADRGD_LIMITS="arrays=64G text=1G"`, or `ADRGD_LIMITS=off` for none.
"""

from __future__ import annotations

import math
import os
import re

from adrgd.errors import UsageError

VARIABLE = "ADRGD_LIMITS"

SIZES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

LIMITS: dict[str, tuple[int, str]] = {
    "arrays": (16 * 2**30, "the expanded arrays of a data set"),
    "computed": (2**30, "all that a network computes for one example"),
    "config": (2**18, "the settings of a run"),
    "image": (2**28, "the pixels of one picture"),
    "network": (4 * 2**30, "the expanded file of a network or of its weights"),
    "text": (2**28, "an expanded property or list"),
    "work": (2**38, "a network for one example"),
}
"""Bytes, and what they are the limit of; work is counted in multiplications."""


SMALL = 2**29
RATIO = 50
"""A compressed file may expand to SMALL bytes, or to RATIO times its own; numbers and texts stay far below that.

Networks of mostly zeros do not: the largest of VNN-COMP's `tllverifybench` has 257 MiB in a file of 1.5.
"""


class TooLargeError(OSError):
    """Something is, or would become, larger than its limit; an OSError, so that readers meet it among the others."""


def most(kind: str) -> float:
    """The limit in bytes, infinite when limits are off.

    Raises:
        UsageError: the environment variable holds something else.
    """
    return _chosen(os.environ.get(VARIABLE, "")).get(kind, LIMITS[kind][0])


def most_expanded(kind: str, stored: int) -> float:
    """The limit for what a compressed file expands to, which a file of few bytes may not use up.

    It is that of its kind where it was set on purpose.
    """
    chosen = _chosen(os.environ.get(VARIABLE, "")).get(kind)
    return min(LIMITS[kind][0], max(SMALL, RATIO * stored)) if chosen is None else chosen


def check(kind: str, size: float, what: str = "it", *, limit: float | None = None) -> None:
    """See that `size` bytes are within the limit, that of their kind unless another is given.

    Raises:
        TooLargeError: they are not.
    """
    limit = most(kind) if limit is None else limit
    if size > limit:
        unit = " multiplications" if kind == "work" else "B"
        needed, allowed = shown(size, unit), shown(limit, unit)
        raise TooLargeError(
            f"{what} needs {needed}, more than the {allowed} that {LIMITS[kind][1]} may take (if it is meant to be so "
            f"large, set {VARIABLE}={kind}={advised(size)})"
        )


def shown(size: float, unit: str = "B") -> str:
    """A number of bytes, or of something else, in the largest unit that leaves at least one."""
    for letter in "TGMK":
        if size >= SIZES[letter]:
            return f"{size / SIZES[letter]:.3g} {letter}i{unit}"
    return f"{size:.0f} {'bytes' if unit == 'B' else unit.strip()}"


def advised(size: float) -> str:
    """The least whole number of a unit that is enough, as the variable takes it."""
    letter = next((letter for letter in "TGMK" if size >= SIZES[letter]), "")
    return f"{math.ceil(size / SIZES[letter])}{letter}"


def _chosen(text: str) -> dict[str, float]:
    if text.strip() == "off":
        return dict.fromkeys(LIMITS, math.inf)
    found: dict[str, float] = {}
    for piece in text.replace(",", " ").split():
        kind, _, value = piece.partition("=")
        number = re.fullmatch(r"(\d+)([KMGT]?)", value)
        if kind not in LIMITS or number is None:
            raise UsageError(
                f"expected {VARIABLE} as off, or pieces such as arrays=64G with the names {', '.join(LIMITS)}, found "
                f"{piece!r}; correct it"
            )
        found[kind] = float(int(number[1]) * SIZES[number[2]])
    return found
