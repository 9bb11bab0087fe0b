"""What an attack leaves on disk, and how a stopped run goes on.

    config.yaml             everything that decides the result
    parts/START.parquet     one finished batch each, with START.safetensors beside it; gone once all are merged
    results.parquet         one row an image
    adversarial.safetensors the adversarial inputs and their indices
    summary.json, report.html

A batch counts as finished when its parquet file exists, and that is written last.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from adrgd.attacks.evaluate import AttackResult
from adrgd.errors import RunFolderError
from adrgd.files import write_text, write_with
from adrgd.runs import open_run

TENSORS = ("adversarial", "history")  # kept as tensors; every other field is a column of the table


class RunFolder:
    """One attack's folder.

    Args:
        path: created when missing.
        config: what the run is; written to a new folder, compared with an old one.
        resume: go on with what is there instead of refusing it.

    Raises:
        RunFolderError: the folder holds another run, or a damaged one, or anything at all without `resume`.
    """

    def __init__(self, path: Path, config: dict[str, Any], *, resume: bool) -> None:
        self.path, self.parts = path, path / "parts"
        open_run(path, config, resume=resume)
        self.parts.mkdir(exist_ok=True)

    @property
    def finished(self) -> bool:
        """Whether all batches were merged."""
        return (self.path / "results.parquet").exists()

    def has(self, start: int) -> bool:
        """Whether the batch that begins at the start-th image is finished."""
        return self.finished or (self.parts / f"{start:08d}.parquet").exists()

    def save(self, start: int, result: AttackResult) -> None:
        """Write one finished batch."""
        tensors = {name: getattr(result, name).cpu().contiguous() for name in TENSORS}
        write_with(self.parts / f"{start:08d}.safetensors", lambda path: save_file(tensors, path))
        table = pa.table({name: value.cpu().numpy() for name, value in columns(result).items()})
        write_with(self.parts / f"{start:08d}.parquet", lambda path: pq.write_table(table, path))

    def discard_if_empty(self) -> None:
        """Remove the folder of a run that failed before its first batch was finished."""
        if not self.finished and not any(self.parts.glob("*.parquet")):
            shutil.rmtree(self.path, ignore_errors=True)

    def merge(self) -> None:
        """Join all finished batches into the final files, then drop the parts."""
        if not self.finished:
            starts = sorted(path.stem for path in self.parts.glob("*.parquet"))
            tables = [_read_table(self.parts / f"{start}.parquet") for start in starts]
            tensors = [_read_tensors(self.parts / f"{start}.safetensors") for start in starts]
            table = pa.concat_tables(tables)
            joined = {name: torch.cat([part[name] for part in tensors]) for name in TENSORS}
            joined["index"] = torch.from_numpy(table["index"].to_numpy().copy())
            write_with(self.path / "adversarial.safetensors", lambda path: save_file(joined, path))
            write_with(self.path / "results.parquet", lambda path: pq.write_table(table, path))
        shutil.rmtree(self.parts, ignore_errors=True)

    def results(self) -> dict[str, Any]:
        """The columns of results.parquet as arrays, one entry an image."""
        table = _read_table(self.path / "results.parquet")
        return {name: table[name].to_numpy() for name in table.column_names}

    def tensors(self) -> dict[str, torch.Tensor]:
        """`adversarial`, `history` and `index`."""
        return _read_tensors(self.path / "adversarial.safetensors")

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        write_text(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")


def columns(result: AttackResult) -> dict[str, torch.Tensor]:
    """The fields with one number an image, in the order of the table."""
    names = [field.name for field in dataclasses.fields(result) if field.name not in TENSORS]
    return {name: getattr(result, name) for name in names}


def _read_table(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise RunFolderError(
            f"{file} is damaged or missing ({type(error).__name__}); delete it and run again with --resume"
        ) from error


def _read_tensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise _damaged(file, f"{file.name} and {file.stem}.parquet", error) from error


def _damaged(file: Path, delete: str, error: Exception) -> RunFolderError:
    return RunFolderError(
        f"{file} is damaged or missing ({type(error).__name__}); delete {delete} there and run again with --resume"
    )
