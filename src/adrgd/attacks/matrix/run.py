"""An evaluation: models x radii x attacks on the same images, into a folder that grows and goes on.

    config.yaml        what all cells share
    cells/NAME/        one attack on one model at one radius, a folder like that of `adrgd attack`
    results.parquet    one row a model, radius, attack and image
    summary.json, report.md, report.html

A cell is kept when the same folder is asked for more models, radii or attacks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from adrgd.attacks.batches import attackable, split
from adrgd.attacks.certify import check_certifiable
from adrgd.attacks.gating import attack_gating, check_gates, facts
from adrgd.attacks.matrix import figures
from adrgd.attacks.matrix.cells import Cell, case_of, run_cell
from adrgd.attacks.matrix.certificates import certify_cell
from adrgd.attacks.matrix.entrants import Entrant, Own
from adrgd.attacks.matrix.gradients import Usefulness, usefulness
from adrgd.attacks.matrix.peers import Peer, check_peers, reason
from adrgd.attacks.matrix.report import write_report
from adrgd.attacks.prepare import say_if_fixed
from adrgd.attacks.ray_workers import RayWorkers
from adrgd.attacks.sources import as_images_of
from adrgd.attacks.threat import LEAVES, Threat, of_box
from adrgd.data import Images
from adrgd.defences.expected import Expected
from adrgd.errors import AdrgdError, NoGradientError, RunFolderError, UsageError
from adrgd.gates import Gating
from adrgd.models.checks import check_model, probe, scale_of
from adrgd.models.outputs import Logits
from adrgd.names import BoxName, Norm
from adrgd.runs import Run, open_run

Target = int | Literal["next", "random", "least-likely"] | None
"""Another class for each image; a class number leaves out the images that belong to it."""

Advance = Callable[[str, int], None]
"""Told what is being worked on and how many images of it were finished, after each batch."""


def run_matrix(
    models: Mapping[str, nn.Module],
    images: Any,
    entrants: Sequence[Entrant],
    out: Path,
    *,
    eps: Sequence[float],
    norm: Norm = "linf",
    target: Target = None,
    box: BoxName = "data",
    seed: int = 0,
    batch_size: int = 128,
    device: str = "cpu",
    config: dict[str, Any] | None = None,
    resume: bool = False,
    advance: Advance | None = None,
    require_gates: bool = False,
    workers: Callable[[str], RayWorkers] | None = None,
    eot: int | None = None,
    eot_judge: int = 100,
    certify: float | None = None,
    mask: str | None = None,
    patch: int | None = None,
    judges: Mapping[str, nn.Module] | None = None,
) -> dict[str, Any]:
    """Evaluate all models under all attacks at all radii, save everything under `out`, and return the summary.

    A peer that cannot run is recorded with its reason, and the rest goes on. Interrupted at any moment, the same call
    with `resume=True` goes on with the first batch that is missing; so it does with more models, radii or attacks.

    Args:
        models: by name.
        images: as `run_attack` takes them.
        entrants: `Own`, `Noise` and `Peer`, among which no name comes twice.
        target: None, "next", "random", "least-likely", or a class number; images of that class are skipped.
        box: "none" for perturbed images that may leave the data's range.
        seed: of the random points at which gradients are looked at; attacks bring their own.
        config: what else decides the results of all cells.
        require_gates: stop if an activation of a model has no gate under one of our own gated solvers.
        workers: what works on the batches of our own solvers, for the model of a name; this process unless given.
        eot, eot_judge: of random models the mean over `eot` draws is attacked, by everybody, and the mean over
            `eot_judge` fresh ones is judged; see `adrgd.attacks.Attack`.
        certify: seconds for each image that stands against all attacks at a radius, to prove that nothing breaks it.
        mask, patch: a file, and the side of a square; as in `Threat`. Peers know neither.
        judges: other models, by name, that what every attack has found is shown to.

    Raises:
        UsageError: two of a name, nothing to do, or a request that one of our own solvers cannot carry out.
        MissingExtraError: there are peers, and none of them can be imported.
        ModelError: a model is in train mode, random, or mixes the rows of a batch.
        RunFolderError: `out` belongs to another evaluation, or is damaged.
    """
    images = as_images_of(images)
    given, images = len(images), attackable(images, target)
    models = {name: Logits(model) for name, model in models.items()}
    single: Mapping[str, nn.Module] = models
    if eot is not None:
        single = {name: Expected(model, 1, seed) for name, model in models.items()}
        models = {name: Expected(model, eot, seed) for name, model in models.items()}
        entrants = [
            replace(one, attack=replace(one.attack, eot=eot, eot_judge=eot_judge)) if isinstance(one, Own) else one
            for one in entrants
        ]
    boxed: dict[str, Any] = {} if box == "data" else {"box": box}
    places: dict[str, Any] = {name: value for name, value in (("mask", mask), ("patch", patch)) if value is not None}
    if places and any(isinstance(one, Peer) for one in entrants):
        raise UsageError(f"attacks of other libraries know no {' and no '.join(places)}; leave out one or the other")
    threats = [Threat(norm=norm, eps=value, target=target, **places, **of_box(boxed)) for value in eps]
    for threat in threats:
        threat.check(images.images)
    names = [entrant.name for entrant in entrants]
    for what, found in (("model", list(models)), ("eps", list(eps)), ("attack", names)):
        if len(set(found)) < len(found) or not found:
            raise UsageError(f"expected at least one {what}, and each once; found {found or 'none'}; correct the list")
    if certify is not None:
        for threat in threats:
            check_certifiable(threat, certify)
        if eot is not None:
            raise UsageError("a proof is about a fixed function, and eot about a random one; leave out one of them")
    check_peers(entrants)
    few = probe(images.images).to(device)
    scales: dict[str, str | None] = {}
    for name, model in single.items():
        check_model(model, few)
        if isinstance(model, Expected):
            say_if_fixed(model, few)
        with torch.no_grad():
            logits = model(few)
        scales[name] = scale_of(logits)
        threats[0].targets(images.labels[:1].to(device), logits[:1], images.index[:1], seed)  # a class that there is
    gates = _gates(single, entrants, few)
    if require_gates:
        for gating in gates.values():
            check_gates(gating)
    shared = {
        **(config or {}),
        "norm": norm,
        "target": target,
        **boxed,
        **places,
        **({} if eot is None else {"eot": eot, "eot_judge": eot_judge}),
        "seed": seed,
        "batch_size": batch_size,
        "device": device,
    }
    helpers = {name: workers(name) for name in models} if workers is not None else {}
    with open_run(out, shared, resume=resume) as folder, ExitStack() as session:
        if helpers:
            session.enter_context(next(iter(helpers.values())).session())
        cells: dict[Cell, dict[str, Any]] = {}
        failures: list[dict[str, Any]] = []
        shown: list[dict[str, Any]] = []
        for name, threat, entrant in product(models, threats, entrants):
            cell = Cell(name, threat.eps, entrant.name)

            def tell(count: int, cell: Cell = cell) -> None:
                if advance is not None:
                    advance(str(cell), count)

            try:
                cells[cell], said = run_cell(
                    models[name], images, entrant, threat, out / "cells" / cell.folder, batch_size=batch_size,
                    config=shared | {"cell": asdict(cell), "settings": entrant.settings()}, device=device, advance=tell,
                    notes=folder.notes, workers=helpers.get(name), eot_judge=eot_judge,
                    judges=judges,
                )  # fmt: skip
                shown += [asdict(cell) | {"judge": row.pop("model")} | row for row in said]
            except RunFolderError:
                raise
            except Exception as error:
                ours = not isinstance(entrant, Peer) and not isinstance(error, NoGradientError)
                if ours and (isinstance(error, UsageError) or not isinstance(error, AdrgdError)):
                    raise
                failures.append(asdict(cell) | {"reason": reason(error, _classes(models[name], few))})
        certificates: list[dict[str, Any]] = []
        for name, threat in product(models, threats) if certify is not None else ():
            here = {cell: columns for cell, columns in cells.items() if (cell.model, cell.eps) == (name, threat.eps)}
            if here:
                certificates.append(
                    _certified(models[name], images, threat, here, out, folder, name, certify or 0.0, shared, advance)
                )
        gradients = {
            (name, threat.eps): _gradients(models[name], images, threat, entrants[0].loss, seed, batch_size, device)
            for name, threat in product(models, threats)
        }
        summary = _summary(cells, failures, gradients, gates, scales, images, out, shared | _lists(models, eps, names))
        summary["skipped"] = given - len(images)
        if shown:
            summary["judges"] = shown
        if certificates:
            summary["certificates"] = certificates
        summary |= folder.remarks()
        _write_results(folder, cells)
        folder.write_text("summary.json", json.dumps(summary, indent=2) + "\n")
        write_report(folder, cells, summary)
    return summary


def _certified(
    model: nn.Module, images: Images, threat: Threat, found: Mapping[Cell, dict[str, Any]], out: Path, folder: Run,
    name: str, seconds: float, config: dict[str, Any], advance: Advance | None,
) -> dict[str, Any]:  # fmt: skip
    """Certify a model's images at a radius, and add what is known of each to its cells' columns."""
    where = f"certificates of {name} at eps {threat.eps:g}"
    _, rows, counts = certify_cell(
        model, images, threat, found, out, name=name, seconds=seconds, config=config, notes=folder.notes,
        advance=lambda count: advance(where, count) if advance is not None else None,
    )  # fmt: skip
    verdicts = np.array([row["verdict"] for row in rows])
    for columns in found.values():
        columns["known"] = verdicts
    return counts


def _lists(models: Mapping[str, nn.Module], eps: Sequence[float], attacks: list[str]) -> dict[str, Any]:
    return {"models": list(models), "eps": list(eps), "attacks": attacks}


def _classes(model: nn.Module, few: torch.Tensor) -> int:
    with torch.no_grad():
        return int(model(few).shape[1])


def _gradients(
    model: nn.Module, images: Images, threat: Threat, loss: str, seed: int, batch_size: int, device: str
) -> dict[str, Any]:
    cases = (case_of(model, batch, threat, loss=loss, seed=seed, device=device) for batch in split(images, batch_size))
    parts = [usefulness(case, seed=seed) for case in cases]
    return {
        field.name: np.concatenate([getattr(part, field.name).cpu().numpy() for part in parts])
        for field in fields(Usefulness)
    }


def _gates(
    models: Mapping[str, nn.Module], entrants: Sequence[Entrant], few: torch.Tensor
) -> dict[tuple[str, str], Gating]:
    """What the gates of our own solvers stand for, by model and attack."""
    found = {
        (name, entrant.name): attack_gating(model, few, entrant.attack.solver)
        for (name, model), entrant in product(models.items(), entrants)
        if isinstance(entrant, Own)
    }
    return {place: gating for place, gating in found.items() if gating is not None}


def _summary(
    cells: dict[Cell, dict[str, Any]],
    failures: list[dict[str, Any]],
    gradients: dict[tuple[str, float], dict[str, Any]],
    gates: dict[tuple[str, str], Gating],
    scales: dict[str, str | None],
    images: Images,
    out: Path,
    config: dict[str, Any],
) -> dict[str, Any]:
    unions = []
    for model, eps in gradients:
        found = {cell.attack: columns for cell, columns in cells.items() if (cell.model, cell.eps) == (model, eps)}
        if found:
            unions.append(figures.of_union(model, eps, found))
    return {
        "images": len(images),
        **({"box": None, "box_sentence": LEAVES} if config.get("box") == "none" else {}),
        "skipped_images": list(images.skipped),
        "cells": [figures.of_cell(cell, columns) for cell, columns in cells.items()],
        "unions": unions,
        "gates": [
            {"model": model, "attack": attack} | (facts(gating) or {}) for (model, attack), gating in gates.items()
        ],
        "indicators": figures.of_signs(cells, gradients, gates, scales),
        "failures": failures,
        "out": str(out),
        "config": config,
    }


def _write_results(folder: Run, cells: dict[Cell, dict[str, Any]]) -> None:
    tables = []
    for cell, columns in cells.items():
        count = len(columns["index"])
        place = {name: [value] * count for name, value in asdict(cell).items()}
        tables.append(pa.table(place | {name: value for name, value in columns.items() if name != "history"}))
    if tables:
        with folder.write("results.parquet") as stream:
            pq.write_table(pa.concat_tables(tables, promote_options="default"), stream)
