"""A counterexample, and the text in which the competition exchanges it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.falsify.property import PropertyError

TEXT = re.compile(r"\s*\(((?:\s*\(\s*[XY]_\d+\s+[^\s()]+\s*\))*)\s*\)\s*")
ENTRY = re.compile(r"\(\s*([XY])_(\d+)\s+([^\s()]+)\s*\)")


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that violates a property, with the outputs that onnxruntime gives for it.

    Attributes:
        x: (n,) float64.
        y: (k,) float64, holding the numbers that the network returned in its own precision.
        case: which case of the property it satisfies.
    """

    x: Tensor
    y: Tensor
    case: int

    def text(self) -> str:
        """((X_0 v) ... (Y_0 v) ...), one a line, with as many digits as give the same number back."""
        entries = [
            f"({letter}_{index} {value!r})"
            for letter, values in (("X", self.x), ("Y", self.y))
            for index, value in enumerate(values.tolist())
        ]
        return "(" + "\n ".join(entries) + ")"


def read_counterexample(text: str) -> tuple[Tensor, Tensor]:
    """x (n,) and y (k,), in float64, from such a text.

    Raises:
        PropertyError: it has another form, or leaves an index out.
    """
    match = TEXT.fullmatch(text)
    values: dict[str, dict[int, float]] = {"X": {}, "Y": {}}
    try:
        for letter, index, value in ENTRY.findall(match[1] if match else ""):
            values[letter][int(index)] = float(value)
        x, y = ([found[index] for index in range(len(found))] for found in values.values())
    except (ValueError, KeyError):
        x, y = [], []
    if not x:
        raise PropertyError(f"expected ((X_0 number) ... (Y_0 number) ...) without a gap, found {text[:60]!r}")
    return torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
