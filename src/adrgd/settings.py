"""Single settings in the forms that they come in: numbers of any library become Python's, anything else a sentence."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from adrgd.errors import UsageError

Kind = Callable[[Any, str], Any]
"""Takes a setting and its name; returns it in the form that it is meant to have."""

SEEDS = 2**32
"""How many numbers the random generators of Gymnasium, NumPy and Stable-Baselines3 can all begin with."""


def settle(settings: Any, **kinds: Kind) -> None:
    """Bring fields of frozen settings into the forms that they are meant to have.

    Raises:
        UsageError: one cannot be.
    """
    for name, kind in kinds.items():
        object.__setattr__(settings, name, kind(getattr(settings, name), name))


def as_count(given: Any, name: str, *, least: int = 1) -> int:
    """A whole number of at least 1, or of another least, of any library.

    Raises:
        UsageError: it is something else.
    """
    count = as_integer(given, name)
    if count < least:
        raise UsageError(f"{name} must be at least {least}, found {count}")
    return count


def as_integer(given: Any, name: str) -> int:
    """A whole number, of any library.

    Raises:
        UsageError: it is something else.
    """
    with suppress(TypeError):
        if not isinstance(given, bool):
            return operator.index(given)
    raise UsageError(f"{name} must be a whole number, found {given!r}; correct it")


def as_seed(given: Any, name: str) -> int:
    """A whole number that every random generator can begin with.

    Raises:
        UsageError: it is something else.
    """
    seed = as_integer(given, name)
    if not 0 <= seed < SEEDS:
        raise UsageError(f"{name} must lie between 0 and {SEEDS - 1}, found {seed}; choose another")
    return seed


def as_number(given: Any, name: str) -> float:
    """A finite number, of any library.

    Raises:
        UsageError: it is something else.
    """
    try:
        number = float("x" if isinstance(given, str | bytes) else given)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{name} must be a finite number, found {given!r}; correct it")
    return number


def as_flag(given: Any, name: str) -> bool:
    """True or False, of any library.

    Raises:
        UsageError: it is something else, which Python would take for one of them.
    """
    if not isinstance(given, bool | np.bool_):
        raise UsageError(f"{name} must be True or False, found {given!r}; correct it")
    return bool(given)


def maybe(kind: Kind) -> Kind:
    """The same, or None."""
    return lambda given, name: None if given is None else kind(given, name)
