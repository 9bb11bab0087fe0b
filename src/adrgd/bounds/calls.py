"""What is known of the calls of a network while they are rewritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor

from adrgd.bounds.curves import Shape

Bend = Callable[[Shape, Tensor], Tensor]
"""Applies a curve to a tensor of any shape, rows first, as a layer of the network."""


class Seen(Protocol):
    """The tensors of a run. Truth values and whole numbers that depend on the input are floating-point ones here."""

    def bent(self, shape: Shape, h: Tensor) -> Tensor:
        """A curve of h, as a layer."""

    def varies(self, value: Any) -> bool:
        """Whether it is a tensor that depends on the input."""

    def is_truth(self, value: Any) -> bool:
        """Whether it stands for truth values."""

    def truth(self, value: Tensor) -> Tensor:
        """Note that it does."""

    def masked(self, x: Tensor) -> Tensor | None:
        """Where x is infinite, whatever the input: without the rows; None where it is nowhere."""

    def whole(self, value: Tensor) -> Tensor:
        """Note that it stands for whole numbers."""

    def is_whole(self, value: Any) -> bool:
        """Whether a tensor that depends on the input, or a constant, is known to hold whole numbers."""

    def hidden(self, make: Callable[[], Tensor]) -> Tensor:
        """A tensor that depends on the input in a way that is not followed: it may be moved, and used for nothing."""

    def places(self, index: Any) -> tuple[Tensor, int] | None:
        """Of what stands for places along an axis: ones there, zeros elsewhere, and the axis."""

    def placed(self, index: Tensor, ones: Tensor, axis: int) -> Tensor:
        """Note these of a tensor that stands for places."""


Lowered = Callable[[Seen, Mapping[str, Any]], Any]
"""What a call gives, by its arguments' names; None where it is left as it is."""


def named(names: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments by name; the tensor itself is `input`, or `self`."""
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    if "self" in given:
        given["input"] = given.pop("self")
    return given
