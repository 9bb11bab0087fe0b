"""A counterexample, and the text in which the competition exchanges it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import torch
from torch import Tensor

from adrgd.falsify.property import Case, PropertyError

TEXT = re.compile(r"\s*\(((?:\s*\(\s*[XY]_\d+\s+[^\s()]+\s*\))*)\s*\)\s*")
ENTRY = re.compile(r"\(\s*([XY])_(\d+)\s+([^\s()]+)\s*\)")


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that violates a property, with the outputs that onnxruntime gives for it.

    Attributes:
        x: (n,) float64.
        y: (k,) float64, holding the numbers that the network returned in its own precision.
        case: which case of the property it satisfies.
        box: that case, for the sides of its box; None where they are not known.
    """

    x: Tensor
    y: Tensor
    case: int
    box: Case | None = None

    def text(self) -> str:
        """((X_0 v) ... (Y_0 v) ...), one a line: 17 significant digits, which give the same float64 back.

        The decimals themselves lie inside the box, whose sides may have more digits than any float64.
        """
        entries = [f"(X_{index} {self._digits(index, value)})" for index, value in enumerate(self.x.tolist())]
        entries += [f"(Y_{index} {value:.17g})" for index, value in enumerate(self.y.tolist())]
        return "(" + "\n ".join(entries) + ")"

    def _digits(self, index: int, value: float) -> str:
        text = f"{value:.17g}"
        if self.box is None or not math.isfinite(value):
            return text
        if index in self.box.written and value == float(self.box.lower[index]):
            return str(self.box.written[index])
        low, high = (Decimal(float(side[index])) for side in self.box.innermost)
        if low <= Decimal(text) <= high or not low <= Decimal(value) <= high:
            return text
        for rounding in (ROUND_FLOOR, ROUND_CEILING):
            inside = Context(prec=17, rounding=rounding).create_decimal(Decimal(value))
            if low <= inside <= high:
                return str(inside)
        return repr(value)  # a side of no width, without a number of the file


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
