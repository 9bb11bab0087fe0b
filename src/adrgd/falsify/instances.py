"""The list of a benchmark's instances: a network, a property and a timeout a line, as the competition writes it."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from adrgd.errors import UsageError
from adrgd.falsify.networks import NetworkFiles, network_files
from adrgd.files import reading

COLUMNS = ("onnx", "vnnlib", "timeout")
EXPECTED = "expected"
"""A further column that a list with a header may have: the verdict that is known, to compare with."""


@dataclass(frozen=True)
class Instance:
    """One line of the list.

    Attributes:
        index: its place in the list, from 0.
        onnx, vnnlib: as the list writes them.
        folder: the benchmark that it belongs to: what comes before the folder named onnx.
        network, prop: the files; of several networks, with the names that the property gives them.
        timeout: seconds.
        expected: the verdict that is known, "sat" or "unsat"; empty where none is.
    """

    index: int
    onnx: str
    vnnlib: str
    folder: str
    network: NetworkFiles
    prop: Path
    timeout: float
    expected: str = ""

    @property
    def networks(self) -> tuple[Path, ...]:
        """The files of its networks."""
        return (self.network,) if isinstance(self.network, Path) else tuple(self.network.values())


@dataclass(frozen=True)
class InstanceList:
    """All instances of a file; `digest` changes with its content."""

    instances: tuple[Instance, ...]
    digest: str


def read_instances(file: Path, *, cap: float | None = None) -> InstanceList:
    """Read a csv file with the columns onnx, vnnlib and timeout; a header, and further columns, may be there or not.

    With a header there may be a column `expected` of known verdicts, sat, unsat or nothing. Paths are relative to the
    csv file. Where only the compressed or only the plain form of a file exists, it is taken.

    Args:
        cap: no instance gets more seconds than this.

    Raises:
        UsageError: the file cannot be read, a line has no timeout or another verdict, or there is no instance.
    """
    try:
        content = reading.read_bytes(file, "text")
        rows = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"expected a readable list of instances at {str(file)!r}, found: {error}; check the path and the file"
        ) from error
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    header = set(COLUMNS) <= set(names)
    columns = [names.index(name) for name in COLUMNS] if header else [0, 1, 2]
    columns.append(names.index(EXPECTED) if header and EXPECTED in names else len(max(rows, key=len, default=[])))
    instances: list[Instance] = []
    for line, row in enumerate(rows, 1):
        if any(cell.strip() for cell in row) and not (header and line == 1):
            cells = [row[column].strip() if column < len(row) else "" for column in columns]
            instances.append(_instance(len(instances), cells, cap, file, line))
    if not instances:
        raise UsageError(f"expected lines of onnx,vnnlib,timeout in {str(file)!r}, found none; list some instances")
    return InstanceList(tuple(instances), hashlib.sha256(content).hexdigest())


def _instance(index: int, cells: list[str], cap: float | None, file: Path, line: int) -> Instance:
    onnx, vnnlib, seconds, expected = cells
    try:
        timeout = float(seconds)
    except ValueError:
        timeout = math.nan
    if not (onnx and vnnlib and 0 < timeout < math.inf):
        raise UsageError(
            f"expected onnx,vnnlib,timeout at line {line} of {str(file)!r}, found {','.join(cells[:3])!r}; "
            "give both files and a positive number of seconds"
        )
    if expected.lower() not in ("sat", "unsat", ""):
        raise UsageError(
            f"expected sat, unsat or nothing in the column {EXPECTED!r} at line {line} of {str(file)!r}, found "
            f"{expected!r}; correct it"
        )
    try:
        named = network_files(onnx)
    except UsageError as error:
        raise UsageError(f"line {line} of {str(file)!r}: {error}") from error
    network: NetworkFiles
    if isinstance(named, Path):
        network, first = _existing(file.parent / named), named
    else:
        network = {name: _existing(file.parent / path) for name, path in named.items()}
        first = next(iter(named.values()))
    return Instance(
        index, onnx, vnnlib, _folder(first, file), network, _existing(file.parent / vnnlib),
        timeout if cap is None else min(timeout, cap), expected.lower(),
    )  # fmt: skip


def _folder(onnx: Path, file: Path) -> str:
    parts = onnx.parent.parts
    if "onnx" in parts:
        parts = parts[: parts.index("onnx")]
    return "/".join(parts) or file.resolve().parent.name


def _existing(path: Path) -> Path:
    try:
        for form in (path, path.with_name(path.name + ".gz"), path.with_name(path.name.removesuffix(".gz"))):
            if form.is_file():
                return form
    except (OSError, ValueError):  # no name, or one that is too long: reading the file will say so
        pass
    return path
