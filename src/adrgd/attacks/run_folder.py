"""What an attack leaves on disk, and how a stopped run goes on.

    config.yaml             everything that decides the result
    parts/START.parquet     one finished batch each, with START.safetensors beside it; gone once all are merged
    results.parquet         one row an image
    adversarial.safetensors the adversarial inputs and their indices
    summary.json, report.html
    judges.parquet          one row a judging model and image, where there are such

A batch counts as finished when both of its files are there as they were written, and so does the whole.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save

from adrgd.attacks.evaluate import AttackResult
from adrgd.attacks.judges import Shared
from adrgd.attacks.smallest.minimum import Smallest
from adrgd.attacks.task import TaskResult
from adrgd.files.reading import read_table
from adrgd.runs import Run

TENSORS = (
    "adversarial",
    "history",
    "overlap",
)  # kept as tensors where there are such; every other field is a column of the table

RESULTS, ADVERSARIAL, SUMMARY = "results.parquet", "adversarial.safetensors", "summary.json"
JUDGES = "judges.parquet"

_PART = re.compile(r"\d{8}\.(parquet|safetensors)")


class RunFolder(Run):
    """One attack's folder; see `open_run`."""

    @property
    def finished(self) -> bool:
        """Whether all batches were merged."""
        return self.has(ADVERSARIAL) and self.has(RESULTS)

    def done(self, start: int) -> bool:
        """Whether the batch that begins at the start-th image is finished."""
        table, tensors = map(self.has, _names(start))
        return self.finished or (table and tensors)

    def save(self, start: int, result: AttackResult | Smallest | TaskResult) -> None:
        """Write one finished batch."""
        table, tensors = _names(start)
        self.write_bytes(
            tensors, save({name: value.cpu().contiguous() for name, value in fields(result).items() if name in TENSORS})
        )
        self._write_table(table, pa.table({name: value.cpu().numpy() for name, value in columns(result).items()}))

    def merge(self) -> None:
        """Join all finished batches into the final files, then drop the parts."""
        parts = [f"parts/{file.name}" for file in (self.path / "parts").glob("*") if _PART.fullmatch(file.name)]
        parts = sorted(name for name in parts if self.has(name))
        if not self.finished:
            tables = [self.read(name, read_table) for name in parts if name.endswith(".parquet")]
            tensors = [self.read(name, load_file) for name in parts if name.endswith(".safetensors")]
            table = _joined(tables)
            joined = {name: torch.cat([part[name] for part in tensors]) for name in tensors[0]}
            del tensors
            joined["index"] = torch.from_numpy(table["index"].to_numpy().copy())
            self.write_bytes(ADVERSARIAL, save(joined))
            self._write_table(RESULTS, table)
        self.remove(parts)

    def results(self) -> dict[str, Any]:
        """The columns of results.parquet as arrays, one entry an image."""
        table = self.read(RESULTS, read_table)
        return {name: table[name].to_numpy() for name in table.column_names}

    def tensors(self) -> dict[str, torch.Tensor]:
        """`adversarial`, `history` and `index`."""
        found: dict[str, torch.Tensor] = self.read(ADVERSARIAL, load_file)
        return found

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        self.write_text(SUMMARY, json.dumps(summary, indent=2) + "\n")

    def write_judges(self, found: Shared, index: torch.Tensor) -> None:
        """Write judges.parquet: one row a model and image."""
        models, count = len(found.names), len(found.label)
        columns = {
            "model": [name for name in found.names for _ in range(count)],
            "index": index.repeat(models).numpy(), "label": found.label.repeat(models).numpy(),
            "clean_prediction": found.clean.flatten().numpy(),
            "adversarial_prediction": found.adversarial.flatten().numpy(), "broken": found.broken.flatten().numpy(),
        }  # fmt: skip
        self._write_table(JUDGES, pa.table(columns))

    def _write_table(self, name: str, table: pa.Table) -> None:
        with self.write(name) as stream:
            pq.write_table(table, stream)


def columns(result: AttackResult | Smallest | TaskResult) -> dict[str, torch.Tensor]:
    """The fields with one number an image, in the order of the table, without those that the attack lacks."""
    return {name: value for name, value in fields(result).items() if name not in TENSORS}


def fields(result: AttackResult | Smallest | TaskResult) -> dict[str, torch.Tensor]:
    """All of them that the attack has."""
    found = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return {name: value for name, value in found.items() if value is not None}


def _joined(tables: list[pa.Table]) -> pa.Table:
    """One table; a part of an earlier version may lack a column of yes and no, which is no then."""
    table = pa.concat_tables(tables, promote_options="default")
    for k, name in enumerate(table.column_names):
        if table[name].null_count and pa.types.is_boolean(table[name].type):
            table = table.set_column(k, name, pc.fill_null(table[name], False))
    return table


def _names(start: int) -> tuple[str, str]:
    return f"parts/{start:08d}.parquet", f"parts/{start:08d}.safetensors"
