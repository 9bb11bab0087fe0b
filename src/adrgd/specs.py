"""The grammar shared by every spec string: `BASE?key=value&key=value`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from adrgd.errors import AdrgdError

BUNDLED = Path(__file__).parent / "bundled"
"""Where the models and images that come with the package lie."""


def split_spec(spec: str, *, error: type[AdrgdError]) -> tuple[str, dict[str, str]]:
    """Split a spec into its base and its query.

    Raises:
        error: the base is empty, or a piece of the query is not `key=value`, or a key comes twice.
    """
    base, mark, text = spec.partition("?")
    if not base.strip():
        raise error(f"expected a spec such as NAME or NAME?key=value, found {spec!r}; put a name or file first")
    query: dict[str, str] = {}
    for piece in text.split("&") if mark else ():
        key, equals, value = piece.partition("=")
        if not (key and equals and value):
            raise error(f"expected key=value pieces joined by '&' after the '?' of {spec!r}, found {piece!r}; fix it")
        if key in query:
            raise error(f"expected each key once in {spec!r}, found {key!r} twice; keep one of them")
        query[key] = value
    return base, query


def join_spec(base: str, query: Mapping[str, str]) -> str:
    """The spec of a base and a query."""
    return "?".join([base, *(["&".join(f"{key}={value}" for key, value in query.items())] if query else [])])


def closest(word: str, known: Iterable[str]) -> str:
    """A hint such as "; did you mean 'mean'?", or nothing when no known word resembles this one."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def only_keys(query: Iterable[str], known: Iterable[str], *, spec: str, error: type[AdrgdError]) -> None:
    """Raise `error` for the first key of a query that this kind of spec does not take."""
    names = sorted(known)
    for key in query:
        if key not in names:
            takes = f"only the keys {', '.join(names)}" if names else "no keys"
            raise error(f"expected {takes} after the '?' of {spec!r}, found {key!r}{closest(key, names)}; correct it")


def parse_value(text: str) -> int | float | bool | str:
    """Read a value of a query: an int, a float or a bool where it looks like one, else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
