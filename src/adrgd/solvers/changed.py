"""What a spec such as `pgd?schedule=constant&length=0.1` changes in a solver."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from adrgd.errors import UsageError
from adrgd.specs import only_keys, parse_value

PARTS = ("gates", "step")


def changed(solver: Any, query: Mapping[str, str], *, spec: str) -> Any:
    """The same with other values of its own fields, or of those of its gate rule and its step rule.

    Raises:
        UsageError: it has no such field, or the value makes no sense.
    """
    parts = {part: getattr(solver, part) for part in PARTS if hasattr(solver, part)}
    own = [name for name in _fields(solver) if name not in parts]
    only_keys(query, [*own, *(name for part in parts.values() for name in _fields(part))], spec=spec, error=UsageError)
    for name, part in parts.items():
        parts[name] = dataclasses.replace(part, **_values(query, part, _fields(part)))
    return dataclasses.replace(solver, **parts, **_values(query, solver, own))


def _fields(part: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(part) if field.init]


def _values(query: Mapping[str, str], part: Any, names: list[str]) -> dict[str, Any]:
    return {name: _value(query[name], getattr(part, name)) for name in names if name in query}


def _value(text: str, present: Any) -> Any:
    """One value, or several between commas; text stays text."""
    if isinstance(present, str):
        return text
    return tuple(map(parse_value, text.split(","))) if "," in text else parse_value(text)
