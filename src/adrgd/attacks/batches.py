"""The batches of a run, and what works on them: this process in turn, unless something else is given."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from adrgd.attacks.evaluate import Attack
from adrgd.attacks.smallest.minimum import Minimum
from adrgd.data import Images
from adrgd.errors import DataError
from adrgd.rows import take


@dataclass(frozen=True, eq=False)
class Batch:
    """Images (B, ...) with labels (B,), and index (B,), their positions in the whole data set.

    Attributes:
        start: position of the first image among those of the run; it names the batch.
    """

    start: int
    images: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)


class Workers(Protocol):
    """Whatever attacks batches: it yields each with its result, in any order, and raises what `attack_batch` does.

    What it is asked for is an `Attack`, with an `AttackResult` for each batch, or a `Minimum`, with a `Smallest`.
    """

    def __call__(
        self, model: nn.Module, asked: Attack | Minimum, batches: Sequence[Batch]
    ) -> Generator[tuple[Batch, Any]]: ...


def attackable(images: Images, target: object) -> Images:
    """Without the images that already belong to the one target class, where the target is a class number.

    Raises:
        DataError: nothing is left to attack.
    """
    if isinstance(target, int):
        keep = (images.labels != target).nonzero()[:, 0]
        images = take(images, keep)
    if not len(images):
        raise DataError(f"no image is left to attack: expected some outside the target class {target}, found none")
    return images


def split(images: Images, size: int) -> list[Batch]:
    """The batches of a run; their images are views."""
    parts = [slice(start, start + size) for start in range(0, len(images), size)]
    return [Batch(part.start, images.images[part], images.labels[part], images.index[part]) for part in parts]
