"""A folder that Hugging Face's `save_to_disk` has written: Arrow files, and what is in them.

FOLDER/state.json, dataset_info.json, data-00000-of-00001.arrow    a data set
FOLDER/dataset_dict.json, FOLDER/test/...                          several splits
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from adrgd.data.images import Raw, Span
from adrgd.data.picture import Form
from adrgd.data.table import Headings, find_columns, read_rows
from adrgd.errors import DataError, UsageError
from adrgd.files import limits, reading

SPLIT = "test"


def read_saved(folder: Path, query: Mapping[str, str], span: Span) -> Raw:
    """Read the rows asked for.

    Raises:
        DataError: no such folder or split, a damaged file, no columns of images and labels, or what `gather` raises.
    """
    form = Form.of(query)
    try:
        place = _split(folder, query.get("split"))
        state = _json(place / "state.json")
        if state.get("_indices_files"):
            raise DataError(
                f"expected rows in their own order in {str(place)!r}, found a list of indices; save it again after "
                "dataset.flatten_indices()"
            )
        about = place / "dataset_info.json"
        features = _json(about).get("features") if about.is_file() else None
        files = [_inner(place, entry) for entry in state.get("_data_files", ())]
        if not files:
            raise DataError(f"expected Arrow files named in {str(place / 'state.json')!r}, found none; save it again")
        with _mapped(files[0]) as stream:
            columns = find_columns(pa.ipc.open_stream(stream).schema, query, str(files[0]), features)
        return read_rows(_rows(files, columns, span), columns, form, str(place))
    except UsageError:
        raise
    except (OSError, pa.ArrowException, ValueError, AttributeError, TypeError, MemoryError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataError(f"expected a folder of save_to_disk at {str(folder)!r}, found: {reason}; check it") from error


def _split(folder: Path, split: str | None) -> Path:
    several = folder / "dataset_dict.json"
    if not several.is_file():
        if split is not None and _json(folder / "state.json").get("_split") != split:
            raise DataError(f"expected the split {split!r} in {str(folder)!r}, found another; leave ?split out")
        return folder
    known = [name for name in _json(several).get("splits", ()) if isinstance(name, str)]
    if (split or SPLIT) not in known:
        raise DataError(
            f"expected the split {split or SPLIT!r} in {str(folder)!r}, found {', '.join(known) or 'none'}; name one "
            "by ?split=NAME"
        )
    return folder / Path(split or SPLIT).name


def _inner(place: Path, entry: Any) -> Path:
    name = str(entry.get("filename"))
    if Path(name).name != name:
        raise DataError(f"expected a file inside {str(place)!r}, found {name!r} in its state.json; correct it")
    return place / name


def _rows(files: list[Path], columns: Headings, span: Span) -> Iterator[tuple[str, Any, Any]]:
    """Rows of the span, batch by batch. An end before the first of them is found by `within`."""
    at, held, met = 0, 0, False
    stop = None if span.limit is None else span.offset + span.limit
    for file in files:
        row = 0
        with _mapped(file) as stream:
            for batch in pa.ipc.open_stream(stream):
                batch.validate(full=True)
                first, last = (
                    max(span.offset - at, 0),
                    batch.num_rows if stop is None else min(stop - at, batch.num_rows),
                )
                if first < last:
                    held += batch.nbytes
                    limits.check("arrays", held)
                    part = batch.slice(first, last - first)
                    for k in range(part.num_rows):
                        met = True
                        name = f"row {row + first + k} of {str(file)!r}"
                        yield name, part.column(columns.image)[k].as_py(), part.column(columns.label)[k].as_py()
                at += batch.num_rows
                row += batch.num_rows
                if stop is not None and at >= stop:
                    return
    if not met:
        span.within(at, spec=str(files[0].parent))


def _mapped(path: Path) -> Any:
    """A file that is read where it lies: a length that lies asks for no memory."""
    reading.open_regular(path).close()
    return pa.memory_map(str(path))


def _json(path: Path) -> Any:
    found = reading.read_json(reading.read_bytes(path, "config"))
    if not isinstance(found, dict):
        raise ValueError(f"no table of names in {path.name}")
    return found
