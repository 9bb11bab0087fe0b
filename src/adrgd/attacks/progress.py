"""What a run tells after each batch, for those who want to see it elsewhere than in its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adrgd.attacks.evaluate import AttackResult
    from adrgd.attacks.smallest.minimum import Smallest
    from adrgd.attacks.task import TaskResult

Advance = Callable[[int, int], None]
"""Told the number of images done, and how many of them are broken, after each batch."""


@dataclass(frozen=True, kw_only=True)
class BatchDone:
    """A batch that is finished and saved.

    Attributes:
        start: position of its first image among those of the run.
        done: images that are finished, those of earlier batches and of an earlier session among them.
        images: how many the run has.
        broken: how many of this session's images are broken so far.
        attacked: how many images this session has finished.
        result: the batch's own, `AttackResult`, `Smallest` or `TaskResult`.
    """

    start: int
    done: int
    images: int
    broken: int
    attacked: int
    result: AttackResult | Smallest | TaskResult

    def metrics(self) -> dict[str, float]:
        """Plain numbers for a tracker; the share broken so far, and the batch's own cost and distance."""
        size = max(1, len(self.result.index))
        return {
            "images": float(self.done),
            "success_rate": self.broken / max(1, self.attacked),
            "batch_success_rate": float(self.result.success.double().mean()),
            "forward_passes": float(self.result.forward_passes.sum()) / size,
            "backward_passes": float(self.result.backward_passes.sum()) / size,
            "seconds": float(self.result.seconds.sum()),
        }


OnBatch = Callable[[BatchDone], None]
"""Told of each batch when it is saved."""
