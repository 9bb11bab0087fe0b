"""What an activation is to the rest of the project, and the linear map that may stand in for its derivative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from adrgd.activations.blocks import in_blocks
from adrgd.activations.normal import variance


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


class Pointwise(ABC):
    """An activation that acts entry by entry and whose mean slope takes more than a few operations."""

    is_relu = False

    @property
    def is_flat(self) -> bool:
        return False

    @abstractmethod
    def mean_slope(self, h: Tensor, square: Tensor) -> Tensor:
        """E[phi'(h + s xi)], of h's shape, where s^2 = square, which broadcasts to h's and may be overwritten."""

    def soft(self, h: Tensor, inverse: Tensor, left: float) -> Factor:
        return Factor(in_blocks(lambda h, inverse: self.mean_slope(h, variance(inverse, left)), h, inverse))
