"""Images in parquet files: one, or the folder of a data set with files of several splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from adrgd.data.images import Raw, Span
from adrgd.data.picture import Form
from adrgd.data.table import find_columns, read_rows
from adrgd.errors import DataError, UsageError
from adrgd.files import limits, reading

SPLIT = "test"


def read_parquet(path: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the rows asked for, of one file or of a split's files in the order of their names.

    Raises:
        DataError: no such file or split, a damaged file, no columns of images and labels, or what `gather` raises.
    """
    files = _files(path, query.get("split"))
    form = Form.of(query)
    try:
        with ExitStack() as opened:
            tables = [pq.ParquetFile(opened.enter_context(reading.open_regular(file))) for file in files]
            count = sum(table.metadata.num_rows for table in tables)
            part = span.within(count, spec=f"parquet:{path}")
            columns = find_columns(tables[0].schema_arrow, query, str(files[0]))
            wanted = [columns.image, columns.label]
            rows = _rows(list(zip(files, tables, strict=True)), wanted, part)
            return read_rows(rows, columns, form, str(path))
    except UsageError:
        raise
    except (OSError, pa.ArrowException, KeyError, ValueError, MemoryError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataError(f"expected parquet files of images at {str(path)!r}, found: {reason}; check them") from error


def _files(path: Path, split: str | None) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"expected a parquet file or a folder of them at {str(path)!r}, found neither; check the path")
    found = sorted(path.rglob("*.parquet"))
    splits = sorted({file.name.partition("-")[0] for file in found if "-" in file.name})
    chosen = [file for file in found if file.name.partition("-")[0] == (split or SPLIT) or file.stem == split]
    if split is None and not chosen and len(splits) < 2:
        chosen = found
    if not chosen:
        wanted = f"files of the split {split or SPLIT!r}" if found else "parquet files"
        raise DataError(
            f"expected {wanted} in {str(path)!r}, found {', '.join(splits) or 'none'}; name a split by ?split=NAME"
        )
    return chosen


def _rows(tables: list[tuple[Path, pq.ParquetFile]], wanted: list[str], part: slice) -> Iterator[tuple[str, Any, Any]]:
    """The rows of a part of all, reading no group of rows that lies outside it."""
    at, held = 0, 0
    for file, table in tables:
        row = 0
        for number in range(table.num_row_groups):
            about = table.metadata.row_group(number)
            first, last = max(part.start - at, 0), min(part.stop - at, about.num_rows)
            if first < last:
                held += about.total_byte_size
                limits.check("arrays", held)
                group = table.read_row_group(number, columns=wanted).slice(first, last - first)
                for k, (image, label) in enumerate(zip(group[wanted[0]], group[wanted[1]], strict=True)):
                    yield f"row {row + first + k} of {str(file)!r}", image.as_py(), label.as_py()
            at += about.num_rows
            row += about.num_rows
