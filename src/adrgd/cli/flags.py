"""What a flag looks like: its text, the word for its value, and how the value is read."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import docstring_parser
import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

T = TypeVar("T")

METAVARS = {
    "bound": "SECONDS", "certify": "SECONDS", "config": "FILE", "data": "DATA", "device": "DEVICE", "domain": "DOMAIN",
    "env": "ENVIRONMENT", "eps": "EPS", "folder": "FOLDER", "generator": "MODEL", "instances": "FILE",
    "layers": "LAYERS", "loss": "LOSS", "lower": "X,...", "model": "MODEL", "models": "MODEL ...",
    "network": "NETWORK", "operator": "OPERATOR", "out": "FOLDER", "peers": "PEER ...", "policy": "FILE",
    "prop": "PROPERTY", "ray": "ADDRESS", "refine": "SOLVER", "solver": "SOLVER", "solvers": "SOLVER ...",
    "step": "RULE", "targeted": "CLASS", "test": "DATA", "timeout": "SECONDS", "upper": "X,...",
}  # fmt: skip
"""The word for a value, by the name of its flag; others have it in their metadata, or are named by their type."""

BY_TYPE = {int: "N", float: "X", str: "NAME", Path: "FILE", bool: None}

SENTENCES = {int: "a whole number", float: "a number or a fraction such as 8/255"}


def flags(options: type[T]) -> type[T]:
    """A decorator for a command's dataclass: the text below each field, and a word for its value, go to its flag."""
    parts = docstring_parser.parse_from_object(options).params
    words = {part.arg_name: " ".join((part.description or "").split()) for part in parts}
    hints = get_type_hints(options, include_extras=True)
    options.__annotations__ = {
        field.name: flag(field, hints[field.name], words.get(field.name))
        for field in dataclasses.fields(options)  # type: ignore[arg-type]
    }
    return options


def flag(field: dataclasses.Field[Any], hint: Any, words: str | None) -> Any:
    """The hint of a field with what tyro is to show of it; nested dataclasses stay as they are."""
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if dataclasses.is_dataclass(plain):
        return hint
    word = field.metadata.get("metavar") or METAVARS.get(field.name) or metavar(plain)
    if word and Ellipsis in get_args(plain) and not word.endswith("..."):
        word += " ..."
    shown = tyro.conf.arg(
        metavar=word,
        help=words,
        help_behavior_hint=_default_of(field),
    )
    return Annotated[hint, shown]


def metavar(hint: Any) -> str | None:
    """The word for a value of a type: N, X ..., {one,another}; None for switches."""
    if hint in BY_TYPE:
        return BY_TYPE[hint]
    inner = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, inner)) + "}"
    if get_origin(hint) is tuple:
        return " ".join("..." if part is Ellipsis else str(metavar(part)) for part in inner)
    return metavar(inner[0])  # a type or None


def _default_of(field: dataclasses.Field[Any]) -> str:
    """What is said of a default: nothing of a switch, nor where nothing is the default."""
    value = field.default
    if value is dataclasses.MISSING:
        return "(required)"
    if value is None or value == () or isinstance(value, bool):
        return ""
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"(default: {shown})"


def number(text: str) -> float:
    """A number, or a fraction such as 8/255.

    Raises:
        ValueError: it is neither.
    """
    try:
        return float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"expected {SENTENCES[float]}, found {text!r}") from None


def whole(text: str) -> int:
    """A whole number.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected {SENTENCES[int]}, found {text!r}") from None


READERS: dict[Any, Any] = {int: whole, float: number}

RULES = ConstructorRegistry()


@RULES.primitive_rule
def _one(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Numbers, with fractions, and errors in our words."""
    read = READERS.get(info.type)
    if read is None:
        return None
    return PrimitiveConstructorSpec(
        nargs=1, metavar=BY_TYPE[info.type] or "", instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: isinstance(value, int | float), str_from_instance=lambda value: [str(value)],
    )  # fmt: skip


@RULES.primitive_rule
def _many(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Any number of numbers; tyro's own rule does not say which of them is wrong."""
    parts = get_args(info.type)
    if info.type_origin is not tuple or len(parts) != 2 or parts[1] is not Ellipsis or parts[0] not in READERS:
        return None
    read = READERS[parts[0]]
    return PrimitiveConstructorSpec(
        nargs="*", metavar=f"{BY_TYPE[parts[0]]} ...", instance_from_str=lambda words: tuple(map(read, words)),
        is_instance=lambda value: isinstance(value, tuple), str_from_instance=lambda value: [str(one) for one in value],
    )  # fmt: skip


@RULES.primitive_rule
def _or_none(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A type or None: None is what a flag that is not given leaves, and no word stands for it."""
    kinds = [part for part in get_args(info.type) if part is not type(None)]
    if info.type_origin not in (Union, UnionType) or len(kinds) != 1:
        return None
    inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds[0], info.markers))
    if not isinstance(inner, PrimitiveConstructorSpec):
        return None
    return dataclasses.replace(
        inner, is_instance=lambda value: value is None or inner.is_instance(value),
        str_from_instance=lambda value: [] if value is None else inner.str_from_instance(value),
    )  # fmt: skip
