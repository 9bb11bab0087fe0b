"""Reconstruct images into a run folder, by several solvers side by side.

config.yaml           everything that decides the result
parts/                the tensors of one solver and one batch each: what resuming needs
images/               NAME.SOLVER.png
results.parquet       one row a target and solver
summary.json
report.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from adrgd.domain import Domain
from adrgd.latent.invert import Generator, measure, reconstruct
from adrgd.latent.operators import Operator
from adrgd.latent.quality import psnr, ssim
from adrgd.latent.report import write_report
from adrgd.latent.solvers import latent_solver
from adrgd.latent.targets import Targets
from adrgd.page import picture
from adrgd.runs import open_run
from adrgd.settings import as_count, as_integer, as_number, maybe, settle

Advance = Callable[[int], None]
"""Told how many reconstructions were finished."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How images are reconstructed.

    Attributes:
        operator: what is measured of them.
        solvers: names of solvers, each of which does every target.
        steps, restarts, prior, seed: see `invert`.
        domain: where codes may be; None for everywhere.
        code: the codes' length or shape, where it does not show.
        batch_size: targets that are worked on side by side.
    """

    operator: Operator
    solvers: tuple[str, ...] = ("gd", "adam", "graduated")
    steps: int = 200
    restarts: int = 1
    prior: float = 0.0
    domain: Domain | None = None
    code: int | tuple[int, ...] | None = None
    seed: int = 0
    batch_size: int = 64

    def __post_init__(self) -> None:
        settle(self, steps=as_count, restarts=as_count, batch_size=as_count)
        if not isinstance(self.code, tuple):
            settle(self, code=maybe(as_count))
        settle(self, prior=as_number, seed=as_integer)


def run_reconstruct(
    generator: Generator,
    targets: Targets,
    setting: Setting,
    out: Path,
    *,
    config: dict[str, Any],
    resume: bool = False,
    device: str = "cpu",
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Reconstruct every target by every solver, save everything under `out`, and return the summary.

    Raises:
        UsageError, DataError, ModelError: see `reconstruct`; nothing is written then.
        RunFolderError: `out` belongs to another run, or a file cannot be written or read.
        MissingExtraError: scikit-image is not installed.
    """
    psnr(targets.images[:1], targets.images[:1])  # before anything is written
    measured = measure(setting.operator, targets.images)
    for name in setting.solvers:
        latent_solver(name)
    images = targets.images.to(device)
    starts = range(0, len(targets.images), setting.batch_size)
    _one_batch(generator, images[:1], setting, setting.solvers[0], 0, steps=1)
    found: dict[str, dict[str, Tensor]] = {}
    with open_run(out, config, resume=resume) as folder:
        for name in setting.solvers:
            parts = []
            for start in starts:
                file = f"parts/{name.replace(':', '-')}-{start:06d}.safetensors"
                if not folder.has(file):
                    batch = images[start : start + setting.batch_size]
                    part = _one_batch(generator, batch, setting, name, start, steps=setting.steps)
                    folder.write_bytes(file, save(part))
                parts.append(folder.read(file, load_file))
                if advance is not None:
                    advance(len(parts[-1]["residual"]))
            found[name] = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        rows = _rows(found, targets)
        with folder.write("results.parquet") as stream:
            pq.write_table(pa.Table.from_pylist(rows), stream)
        for name, tensors in found.items():
            for label, image in zip(targets.names, tensors["images"], strict=True):
                with folder.write(f"images/{label}.{name}.png") as stream:
                    picture(image).save(stream, format="PNG")
        summary = _summary(found, rows, config, out) | folder.remarks()
        folder.write_text("summary.json", json.dumps(summary, indent=2) + "\n")
        write_report(folder, targets, measured, found, rows, summary)
    return summary


def _one_batch(
    generator: Generator, images: Tensor, setting: Setting, name: str, start: int, *, steps: int
) -> dict[str, Tensor]:
    found = reconstruct(
        generator, images, operator=setting.operator, solver=name, restarts=setting.restarts, steps=steps,
        domain=setting.domain, prior=setting.prior, code=setting.code, seed=setting.seed,
        identity=torch.arange(start, start + len(images)),
    )  # fmt: skip
    error = found.residual if found.error is None else found.error
    seconds = torch.full((len(images),), found.seconds / len(images), dtype=torch.float64)
    tensors = {
        "z": found.z, "images": found.images, "residual": found.residual, "error": error, "seconds": seconds,
        "forwards": found.forwards, "backwards": found.backwards, "history": found.history.T,
    }  # fmt: skip
    return {key: value.cpu().contiguous() for key, value in tensors.items()}


def _rows(found: dict[str, dict[str, Tensor]], targets: Targets) -> list[dict[str, Any]]:
    rows = []
    for name, tensors in found.items():
        ratios, likeness = psnr(tensors["images"], targets.images), ssim(tensors["images"], targets.images)
        for k, label in enumerate(targets.names):
            numbers = {key: tensors[key][k].item() for key in ("residual", "error", "forwards", "backwards", "seconds")}
            rows.append({"target": label, "solver": name, **numbers, "psnr": ratios[k], "ssim": likeness[k]})
    return rows


def _summary(
    found: dict[str, dict[str, Tensor]], rows: list[dict[str, Any]], config: dict[str, Any], out: Path
) -> dict[str, Any]:
    means = {}
    for name in found:
        own = [row for row in rows if row["solver"] == name]
        keys = ("residual", "error", "psnr", "ssim", "forwards", "backwards", "seconds")
        means[name] = {key: float(np.mean([row[key] for row in own])) for key in keys}
    return {"targets": len(rows) // len(found), "means": means, "out": str(out), "config": config}
