"""How a name goes: the old one goes on to work, and says so, as long as docs/stability.md promises."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from adrgd.errors import AdrgdWarning, UsageError, warn

P = ParamSpec("P")
R = TypeVar("R")


class RenamedWarning(AdrgdWarning):
    """An old name was used, which will go."""


def say_renamed(old: str, new: str, *, goes: str) -> None:
    """Warn that `old` is called `new` now, and in which version the old name goes."""
    warn(f"{old} is called {new} now; the old name goes in version {goes}", RenamedWarning)


def renamed_arguments(*, goes: str, **names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: keyword arguments go on to be taken by their old names.

    Args:
        goes: the version in which the old names go.
        names: old="new".
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **given: P.kwargs) -> R:
            for old in names.keys() & given.keys():
                new = names[old]
                if new in given:
                    raise UsageError(f"{function.__name__} was given {new} and {old}, which are the same; keep {new}")
                say_renamed(old, new, goes=goes)
                given[new] = given.pop(old)
            return function(*args, **given)

        return call

    return decorate
