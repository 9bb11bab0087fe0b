"""One cell of an evaluation: one attack on one model at one radius, in a run folder of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from adrgd.attacks.batches import Batch, Workers, split
from adrgd.attacks.case import Case
from adrgd.attacks.filling import filled
from adrgd.attacks.matrix.entrants import Entrant, Own
from adrgd.attacks.matrix.judge import Checked
from adrgd.attacks.progress import BatchDone
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.summary import transferred
from adrgd.attacks.threat import Threat
from adrgd.data import Images
from adrgd.defences.expected import Expected


@dataclass(frozen=True)
class Cell:
    """Its place in the evaluation; its folder's name follows from nothing else."""

    model: str
    eps: float
    attack: str

    @property
    def folder(self) -> str:
        words = f"{self.model}\n{self.eps!r}\n{self.attack}"
        plain = "".join(c if c.isalnum() else "-" for c in f"{Path(self.model).stem} {self.eps:.4g} {self.attack}")
        return f"{plain[:60]}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"

    def __str__(self) -> str:
        return f"{self.attack} on {self.model} at eps {self.eps:g}"


def case_of(
    model: nn.Module, batch: Batch, threat: Threat, *, loss: str, seed: int, device: str, eot_judge: int = 100
) -> Case:
    """The case of a batch, on a device; the mean of a random model is judged over fresh draws, `eot_judge` of them."""
    images, labels = batch.images.to(device), batch.labels.to(device)
    judge = model.other(eot_judge) if isinstance(model, Expected) else None
    return Case.of(model, images, labels, batch.index, threat, loss=loss, seed=seed, judge=judge)


def run_cell(
    model: nn.Module,
    images: Images,
    entrant: Entrant,
    threat: Threat,
    path: Path,
    *,
    config: dict[str, Any],
    batch_size: int,
    device: str,
    advance: Callable[[int], None],
    notes: list[str],
    workers: Workers | None = None,
    eot_judge: int = 100,
    judges: Mapping[str, nn.Module] | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Attack all batches that are not finished yet, and return the columns of the whole cell, and what judges say.

    Args:
        config: everything that decides the results; a folder with others is refused.
        advance: told the number of images of each batch.
        notes: takes what was found damaged, and set aside.
        workers: what works on the batches of our own solvers; this process unless given.
        eot_judge: see `case_of`.
        judges: other models, by name, that what was found is shown to.

    Raises:
        RunFolderError: the folder is damaged or holds something else.
        Exception: whatever the attack raises; what was finished before stays.
    """
    with RunFolder(path, config, resume=True) as folder:
        advance(sum(len(batch) for batch in split(images, batch_size) if folder.done(batch.start)))

        def case(batch: Batch) -> Case:
            return case_of(
                model, batch, threat, loss=entrant.loss, seed=entrant.seed, device=device, eot_judge=eot_judge
            )

        def work(waiting: Sequence[Batch]) -> Generator[tuple[Batch, Checked]]:
            if workers is None or not isinstance(entrant, Own):
                for batch in waiting:
                    yield batch, entrant(case(batch))
                return
            attack, inner = replace(entrant.attack, threat=threat), model
            if isinstance(model, Expected) and isinstance(model.model, nn.Module):
                inner = model.model
            with closing(workers(inner, attack, waiting)) as results:
                for batch, found in results:
                    yield batch, entrant.judged(case(batch), found.to(device))

        def told(done: BatchDone) -> None:
            advance(len(done.result.index))

        table = filled(folder, images, work, batch_size=batch_size, on_batch=told)
        said = transferred(judges or {}, folder, images, table, batch_size, device)
        notes += folder.notes
        return table | {"history": folder.tensors()["history"].numpy()}, said.get("judges", [])
