"""Single settings in the forms that they come in: numbers of any library become Python's, anything else a sentence."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

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


def settle_fields(settings: Any) -> None:
    """Bring every field of frozen settings into the form that its type and its default speak of.

    Numbers are finite unless the default is not, and neither negative, nor 0 for whole numbers whose default is at
    least 1; fields of other types than numbers, truth values, text, choices and tuples of these are left as they are.

    Raises:
        UsageError: one cannot be.
    """
    settle(settings, **_kinds(settings.__class__))


@cache
def _kinds(owner: type) -> dict[str, Kind]:
    try:
        hints = get_type_hints(owner)
    except NameError:  # somebody's own class, with names that only a type checker sees
        return {}
    found = {field.name: _kind(hints[field.name], field.default) for field in dataclasses.fields(owner)}
    return {name: kind for name, kind in found.items() if kind is not None}


def _kind(hint: Any, default: Any) -> Kind | None:
    """What settles a field of that type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is bool:
        return as_flag
    if hint is int:
        least = int(not isinstance(default, int) or default >= 1)
        return lambda given, name: as_count(given, name, least=least)
    if hint is float:
        return lambda given, name: _as_size(given, name, endless=default == math.inf)
    if hint is str:
        return _as_text
    if origin is Literal:
        return lambda given, name: _as_choice(given, name, inner)
    if origin in (Union, UnionType) and len(inner) == 2 and inner[1] is type(None):
        kind = _kind(inner[0], dataclasses.MISSING)
        return None if kind is None else maybe(kind)
    if origin is tuple and isinstance(default, tuple) and len(inner) == len(default):
        kinds = [_kind(*pair) for pair in zip(inner, default, strict=True)]
        return None if None in kinds else lambda given, name: _as_several(given, name, kinds)  # type: ignore[arg-type]
    return None


def _as_size(given: Any, name: str, *, endless: bool) -> float:
    number = math.inf if endless and given == math.inf else as_number(given, name)
    if number < 0:
        raise UsageError(f"{name} must not be negative, found {given}")
    return number


def _as_text(given: Any, name: str) -> str:
    if not isinstance(given, str):
        raise UsageError(f"{name} must be text, found {given!r}; put it in quotation marks")
    return given


def _as_choice(given: Any, name: str, choices: tuple[Any, ...]) -> Any:
    if given not in choices:
        raise UsageError(f"{name} must be one of {', '.join(map(str, choices))}, found {given!r}; choose one")
    return given


def _as_several(given: Any, name: str, kinds: list[Kind]) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list) or len(given) != len(kinds):
        raise UsageError(f"{name} must be {len(kinds)} values, found {given!r}; correct it")
    return tuple(kind(value, name) for kind, value in zip(kinds, given, strict=True))


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
