"""Reading files that someone else may have made: nothing but regular files, no more than the limits, no code.

Every function raises OSError or ValueError with a reason that fits into a sentence; readers say whose file it was.
"""

from __future__ import annotations

import gzip
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from adrgd.files import limits

T = TypeVar("T")

CHUNK = 2**20
DEEPEST = 100
"""Levels of nesting that settings and notes may have."""

KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class Unreadable(OSError):  # noqa: N818  it is the name of what was found
    """A file that is something else than it has to be."""


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading, and see that it is one: a pipe would be waited for, a device may never end.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a name with a zero byte in it
        raise Unreadable(str(error)) from error
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        raise Unreadable(f"{next((name for test, name in KINDS.items() if test(mode)), 'something else')}, no file")
    return os.fdopen(number, "rb")


def read_bytes(path: Path, kind: str) -> bytes:
    """The content of a file, expanded when its name ends in .gz: never more than the limit, and no more of it made.

    Raises:
        OSError: it cannot be read, is damaged, or is larger than the limit of this kind.
    """
    with open_regular(path) as file:
        if path.suffix == ".gz":
            return _expanded(file, kind)
        limits.check(kind, os.fstat(file.fileno()).st_size)
        return file.read()


def read_text(path: Path, kind: str) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark; lines end in a line feed whatever they ended in.

    Raises:
        OSError, UnicodeDecodeError: as in `read_bytes`.
    """
    text = read_bytes(path, kind).decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_json(content: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: no JSON, or too deeply nested to be one of ours.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_yaml(text: str) -> Any:
    """What a YAML text says, in plain types. It has no aliases: a few lines of them stand for more than memory holds.

    Raises:
        ValueError: no YAML, an alias, a key that comes twice or is no plain word, or nested too deeply.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_node(node, set(), 0)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        raise ValueError(str(error).strip().partition("\n")[0] or type(error).__name__) from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _check_node(node: yaml.Node, met: set[int], depth: int) -> None:
    if id(node) in met:
        raise ValueError("it holds aliases")
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    met.add(id(node))
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        parts = node.value
    elif isinstance(node, yaml.MappingNode):
        keys = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
        if len(keys) < len(node.value):
            raise ValueError("it names a key twice, or has a key that is no plain word")
        parts = [part for pair in node.value for part in pair]
    for part in parts:
        _check_node(part, met, depth + 1)


def read_record(kind: type[T], content: Any) -> T:
    """A dataclass of plain fields from a mapping, each field of the type that it is declared with.

    Raises:
        ValueError: a field is unknown, or of another type.
        TypeError: a field is missing.
    """
    hints = get_type_hints(kind)
    if not isinstance(content, dict) or not content.keys() <= hints.keys():
        raise ValueError(f"expected the fields {', '.join(hints)} and no others")
    for name, value in content.items():
        wanted = get_origin(hints[name]) or hints[name]
        parts = value if type(value) is list else []
        if not _is(value, wanted) or not all(_is(part, get_args(hints[name])[0]) for part in parts):
            raise ValueError(f"expected {name} as {wanted.__name__}, found {str(value)[:50]!r}")
    return kind(**content)


def _is(value: Any, wanted: Any) -> bool:
    return type(value) is wanted or (wanted is float and type(value) is int)


def read_table(path: Path) -> Any:
    """A parquet file as a table of pyarrow, which a few bytes can make any number of rows long.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be read, or is larger than the limit.
    """
    import pyarrow.parquet as pq

    with open_regular(path) as file:
        about = pq.ParquetFile(file).metadata
        stored = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        limits.check("arrays", max(stored, 8 * about.num_rows * about.num_columns))
        file.seek(0)
        return pq.read_table(file)


def check_size(file: IO[bytes], kind: str) -> None:
    """See that a file that is read as a whole is itself within a limit.

    Raises:
        OSError: it is not.
    """
    limits.check(kind, os.fstat(file.fileno()).st_size)


def check_zip(file: IO[bytes], kind: str, wanted: Iterable[str] | None = None) -> None:
    """See that the members of a zip archive, as its directory declares them, are within a limit when expanded.

    Python's reader stops at the declared size, so that a member cannot grow beyond it. A file that is no zip passes.

    Raises:
        OSError: they are not, or the directory is damaged.
    """
    start = file.tell()
    try:
        if not zipfile.is_zipfile(file):
            return
        names = None if wanted is None else set(wanted)
        with zipfile.ZipFile(file) as archive:
            sizes = [one.file_size for one in archive.infolist() if names is None or one.filename in names]
        stored = file.seek(0, os.SEEK_END)
        limits.check(kind, sum(sizes), limit=limits.most_expanded(kind, stored))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Unreadable(f"a damaged archive ({error})") from error
    finally:
        file.seek(start)


def _expanded(file: IO[bytes], kind: str) -> bytes:
    limit, parts, size = limits.most_expanded(kind, os.fstat(file.fileno()).st_size), [], 0
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            while part := stream.read(CHUNK):
                parts.append(part)
                size += len(part)
                if size > limit:
                    limits.check(kind, size, "it goes on growing and so far", limit=limit)
    except (EOFError, zlib.error) as error:
        raise Unreadable(str(error)) from error
    return b"".join(parts)
