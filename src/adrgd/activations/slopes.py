"""What an activation is to the rest of the project, and the linear map that may stand in for its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Slope(Protocol):
    """A linear map from a layer's pre-activations to its outputs."""

    def push(self, difference: Tensor) -> Tensor:
        """What a change of the pre-activations becomes behind the layer."""

    def pull(self, gradient: Tensor) -> Tensor:
        """The transpose: a gradient on the outputs, as one on the pre-activations."""


@dataclass(frozen=True)
class Factor:
    """The slope of a function that acts entry by entry: one factor for each, of the pre-activations' shape."""

    factor: Tensor

    def push(self, difference: Tensor) -> Tensor:
        return self.factor * difference

    def pull(self, gradient: Tensor) -> Tensor:
        return gradient * self.factor


class Activation(Protocol):
    """A function that is applied to the pre-activations h (B, ...) of a layer."""

    @property
    def name(self) -> str:
        """What torch calls it."""

    @property
    def is_relu(self) -> bool:
        """Exactly max(h, 0)."""

    @property
    def is_flat(self) -> bool:
        """Its own derivative is zero almost everywhere, so that only a softened one leads anywhere."""

    def value(self, h: Tensor) -> Tensor:
        """The function itself."""

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Slope:
        """The mean derivative under Gaussian noise on h of standard deviation s = 1.702 left / inverse, entry by entry.

        Args:
            h: pre-activations, float32 or float64.
            inverse: finite and positive, of a shape that broadcasts to h's; not written to.
            left: what remains of the annealing, in (0, 1].
        """


class Smooth:
    """What the activations have in common that are neither hinges nor flat."""

    is_relu = False
    is_flat = False
