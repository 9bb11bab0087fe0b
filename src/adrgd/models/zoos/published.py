"""What a package knows of one of its networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn


@dataclass(frozen=True)
class Published:
    """A network, what it was made for (None where unknown), and the normalisation it was trained with.

    Attributes:
        module: takes a batch and returns logits.
        input_shape: of one image, channels first.
        classes: number of logits.
        mean, std: one value for each channel of an image in [0, 1]; None where the module does it by itself.
        holder: the part of the module whose names a file of weights has, where that is not all of it.
    """

    module: nn.Module
    input_shape: tuple[int, ...] | None
    classes: int | None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    holder: nn.Module | None = None

    def normalised(self, module: nn.Module) -> Published:
        """The same with a module that normalises its input."""
        return replace(self, module=module, mean=None, std=None)
