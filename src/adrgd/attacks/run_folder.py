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
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from adrgd.attacks.evaluate import AttackResult
from adrgd.errors import RunFolderError
from adrgd.files import write_text, write_with

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
        file = path / "config.yaml"
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} is a file; expected a folder for the run's results")
        if path.exists() and any(path.iterdir()):
            if not resume:
                raise RunFolderError(f"{path} is not empty; choose another --out, or go on with that run by --resume")
            if not file.exists():
                raise RunFolderError(
                    f"{path} holds no config.yaml, so that it is not a run's folder; choose another --out"
                )
            _compare(_read_config(file), config, path)
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"cannot create {path}: {error.strerror}; choose another --out") from error
        if not file.exists():
            write_text(file, yaml.safe_dump(config, sort_keys=False))

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


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunFolderError(
            f"{file} cannot be read ({type(error).__name__}); the run cannot go on, choose another --out"
        ) from error
    if not isinstance(config, dict):
        raise RunFolderError(f"{file} holds no settings; the run cannot go on, choose another --out")
    return config


def _compare(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    new = yaml.safe_load(yaml.safe_dump(new))  # the same types that a file brings back
    different = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if different:
        what = "; ".join(f"{key}: {old.get(key)!r} there, {new.get(key)!r} here" for key in different[:3])
        raise RunFolderError(f"{path} holds a run with other settings ({what}); use the same ones, or another --out")


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
