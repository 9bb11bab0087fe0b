"""What an operator's builder is told about its node, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch import Tensor

from adrgd.errors import ModelError
from adrgd.models.onnx.graph import Node
from adrgd.models.onnx.kinds import FLOAT, RANGES

LONGEST = 100_000
"""Numbers in a list of sizes, axes or the like."""


class Reach(Enum):
    """Which entries of its inputs an output entry depends on, which decides how a batch is run."""

    POINT = "the entries at the same place, after broadcasting"
    LAST = "the entries that differ from it in the last axis alone"
    ROW = "the entries of the first input with the same index along the first axis"
    BEHIND = "the entries with the same indices along any axes put in front: `run` counts its own axes from the end"
    ORDER = "the one entry at the same place in row-major order: the operator changes the shape alone"
    WHOLE = "any entry"


@dataclass(frozen=True)
class Kernel:
    """A function in the file's terms (batch of one), and how far it reaches.

    Attributes:
        run: takes tensors of the shapes in the file; returns a tensor, or a tuple when the node has several outputs.
        inputs: what `run` takes: positions of the node's inputs, or constants made from them.
        kinds: the file's types of the results; that of the first input where there are none.
    """

    run: Callable[..., Any]
    inputs: tuple[int | Tensor, ...]
    reach: Reach
    kinds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Site:
    """A node, with the shapes and types of its inputs in the file's terms and the values of those that are constant.

    Inputs that the file leaves out are None in all lists.
    """

    node: Node
    shapes: list[tuple[int, ...] | None]
    constants: list[Tensor | None]
    kinds: list[int | None]

    def attribute(self, name: str, default: Any) -> Any:
        return self.node.attributes.get(name, default)

    def has(self, index: int) -> bool:
        """Whether the file gives this input."""
        return index < len(self.shapes) and self.shapes[index] is not None

    def rank(self, index: int = 0) -> int:
        return len(self.shape(index))

    def kind(self, index: int = 0) -> int:
        """The type of an input, one of `adrgd.models.onnx.kinds`."""
        self.shape(index)
        return self.kinds[index] or FLOAT

    def whole(self, index: int = 0) -> bool:
        """Whether an input is one of whole numbers."""
        return self.kind(index) in RANGES

    def given(self) -> tuple[int, ...]:
        """The positions of all inputs that the file gives."""
        return tuple(index for index in range(len(self.shapes)) if self.has(index))

    def shape(self, index: int) -> tuple[int, ...]:
        shape = self.shapes[index] if index < len(self.shapes) else None
        if shape is None:
            raise self.unsupported(f"without its input number {index}")
        return shape

    def varies(self, index: int) -> bool:
        """Whether this input depends on the input of the model."""
        return self.has(index) and self.constants[index] is None

    def constant(self, index: int) -> Tensor | None:
        """The value of an input that has to be constant, or None when the file leaves it out."""
        if self.varies(index):
            raise self.unsupported(f"with an input (number {index}) that is computed from the model's input")
        return self.constants[index] if self.has(index) else None

    def integers(self, index: int) -> list[int] | None:
        """The value of a constant input as a list of integers, or None when the file leaves it out."""
        value = self.constant(index)
        if value is not None and value.numel() > LONGEST:
            raise self.unsupported(f"with a list of {value.numel()} numbers (input number {index})")
        return None if value is None else [int(entry) for entry in value.reshape(-1).tolist()]

    def number(self, index: int, default: float) -> float:
        """The value of a constant input that is one number."""
        value = self.constant(index)
        if value is None or not value.numel():
            return default
        if value.numel() > 1:
            raise self.unsupported(f"with {value.numel()} numbers where one is expected (input number {index})")
        return float(value)

    def attribute_or_integers(self, name: str, index: int, since: int) -> list[int] | None:
        """A list that became an input in the opset `since` and was an attribute before."""
        given: list[int] | None = self.attribute(name, None) if self.node.opset < since else self.integers(index)
        return given

    def from_end(self, axis: int, index: int = 0) -> int:
        """An axis of an input, counted from the end: -1 is the last."""
        rank = self.rank(index)
        return self.axis(axis, rank) - rank

    def axis(self, axis: int, rank: int | None = None) -> int:
        """An axis of the first input (or of a tensor of the given rank), counted from the front."""
        rank = len(self.shape(0)) if rank is None else rank
        if not -rank <= axis < rank:
            raise ModelError(
                f"expected {self.node} to name one of the {rank} axes of its input, found {axis}; export the model "
                "again"
            )
        return axis % rank

    def unsupported(self, what: str) -> ModelError:
        """The error for a use of a supported operator that is not."""
        return ModelError(f"{self.node} is used {what}, which is not supported; export the model without it")


Builder = Callable[[Site], Kernel]
