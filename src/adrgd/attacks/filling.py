"""A run's folder, filled batch by batch by whoever works on them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from torch import Tensor

from adrgd.attacks.batches import Batch, split
from adrgd.attacks.evaluate import AttackResult
from adrgd.attacks.progress import Advance, BatchDone, OnBatch
from adrgd.attacks.run_folder import RunFolder
from adrgd.attacks.smallest.minimum import Smallest
from adrgd.attacks.task import TaskResult
from adrgd.data import Images

Found = TypeVar("Found", bound=AttackResult | Smallest | TaskResult)

Work = Callable[[Sequence[Batch]], Generator[tuple[Batch, Found]]]
"""Yields each batch with what comes of it, in any order."""


def filled(
    folder: RunFolder,
    images: Images,
    work: Work[Found],
    *,
    batch_size: int,
    advance: Advance | None = None,
    on_batch: OnBatch | None = None,
) -> dict[str, Any]:
    """Save each batch that is not finished yet as soon as it is, and join them; the columns of the whole.

    Raises:
        RunFolderError: the folder is damaged.
        Exception: whatever the work raises; what was finished before stays.
    """
    waiting = [batch for batch in split(images, batch_size) if not folder.done(batch.start)]
    before, attacked, broken = len(images) - sum(map(len, waiting)), 0, 0
    with closing(work(waiting)) as results:
        for batch, result in results:
            folder.save(batch.start, result)
            attacked, broken = attacked + len(batch), broken + int(result.success.sum())
            if advance is not None:
                advance(before + attacked, broken)
            if on_batch is not None:
                on_batch(BatchDone(
                    start=batch.start, done=before + attacked, images=len(images), broken=broken, attacked=attacked,
                    result=result,
                ))  # fmt: skip
    folder.merge()
    return folder.results()


def in_turn(one: Callable[[Tensor, Tensor, Tensor], Found], device: str) -> Work[Found]:
    """What comes of each batch's images, labels and index, in this process."""

    def work(batches: Sequence[Batch]) -> Generator[tuple[Batch, Found]]:
        for batch in batches:
            yield batch, one(batch.images.to(device), batch.labels.to(device), batch.index)

    return work
