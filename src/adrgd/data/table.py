"""Which columns of a table are the images and the labels, and what is in a cell of them.

As Hugging Face's datasets have it: an image is a struct of its bytes and its path, or its bytes alone; a label is a
whole number, whose classes' names stand in the table's description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from adrgd.data.images import Raw
from adrgd.data.members import Member, gather
from adrgd.data.picture import Form
from adrgd.errors import DataError
from adrgd.files import reading

IMAGES, LABELS = ("image", "img", "images", "picture"), ("label", "labels", "fine_label", "target", "class")
DESCRIPTION = b"huggingface"


@dataclass(frozen=True)
class Headings:
    """The names of two columns, and those of the classes where they are known."""

    image: str
    label: str
    names: tuple[str, ...] | None


def find_columns(schema: pa.Schema, query: Mapping[str, str], where: str, features: Any = None) -> Headings:
    """The columns that a spec names, or else the ones that can be meant.

    Args:
        features: the description of the columns, where it is not in the schema.

    Raises:
        DataError: there are none, or several.
    """
    features = features if features is not None else _described(schema)
    image = _one(schema, query.get("image"), "image", IMAGES, _is_image, where)
    label = _one(schema, query.get("label"), "label", LABELS, pa.types.is_integer, where)
    about = features.get(label) if isinstance(features, dict) else None
    names = about.get("names") if isinstance(about, dict) else None
    known = names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
    return Headings(image, label, tuple(known) or None)


def read_rows(rows: Iterator[tuple[str, Any, Any]], headings: Headings, form: Form, where: str) -> Raw:
    """Decode rows, given as name, cell of the image, cell of the label.

    Raises:
        DataError: a cell is empty, or what `gather` raises.
    """
    members = [Member.held(_bytes(cell, name), name, _label(label, headings.label, name)) for name, cell, label in rows]
    return gather(members, form, where, headings.names)


def _one(
    schema: pa.Schema, asked: str | None, key: str, usual: tuple[str, ...], fits: Callable[[pa.DataType], bool],
    where: str,
) -> str:  # fmt: skip
    have = {field.name: field.type for field in schema}
    if asked is not None:
        if asked not in have or not fits(have[asked]):
            raise DataError(f"expected a column {asked!r} of {key}s in {where!r}, found {_shown(have)}; name another")
        return asked
    fitting = [name for name, kind in have.items() if fits(kind)]
    found = [name for name in usual if name in fitting][:1] or fitting
    if len(found) != 1:
        raise DataError(f"expected one column of {key}s in {where!r}, found {_shown(have)}; name it by ?{key}=COLUMN")
    return found[0]


def _is_image(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(at).name == "bytes" for at in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _bytes(cell: Any, name: str) -> bytes:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DataError(f"expected the bytes of an image in {name}, found none; save the images inside the table")
    return content


def _label(cell: Any, column: str, name: str) -> int:
    if not isinstance(cell, int):
        raise DataError(f"expected a number as {column} of {name}, found none; correct it")
    return cell


def _described(schema: pa.Schema) -> Any:
    try:
        return reading.read_json((schema.metadata or {}).get(DESCRIPTION, b"{}")).get("info", {}).get("features")
    except (ValueError, AttributeError):
        return None


def _shown(have: Mapping[str, pa.DataType]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in have.items()) or "no columns"
