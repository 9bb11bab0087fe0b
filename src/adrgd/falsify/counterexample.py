"""A counterexample, and the text in which the competition exchanges it."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import torch
from torch import Tensor

from adrgd.falsify.property import Property, PropertyError

TEXT = re.compile(r"\s*\(((?:\s*\(\s*[XY]_\d+\s+[^\s()]+\s*\))*)\s*\)\s*")
ENTRY = re.compile(r"\(\s*([XY])_(\d+)\s+([^\s()]+)\s*\)")


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that violates a property, with the outputs that onnxruntime gives for it.

    Attributes:
        x: (n,) float64: all inputs of the property's file.
        y: (k,) float64, holding the numbers that the network returned in its own precision.
        case: which case of the property it satisfies.
        prop: that property, for the sides of its box and the names of its tensors; None where they are not known.
    """

    x: Tensor
    y: Tensor
    case: int
    prop: Property | None = None

    def text(self) -> str:
        """As the competition writes it, with 17 significant digits, which give the same float64 back.

        Of a property in version 1 ((X_0 v) ... (Y_0 v) ...), one a line; in version 2 each tensor's name, type and
        shape, then its numbers, one a line. The decimals themselves lie inside the box, whose sides may have more
        digits than any float64.
        """
        x = [self._digits(index, value) for index, value in enumerate(self.x.tolist())]
        y = [f"{value:.17g}" for value in self.y.tolist()]
        if self.prop is None or not self.prop.networks:
            entries = [f"({letter}_{at} {one})" for letter, all_ in (("X", x), ("Y", y)) for at, one in enumerate(all_)]
            return "(" + "\n ".join(entries) + ")"
        ahead = iter(x), iter(y)
        lines: list[str] = []
        for network in self.prop.networks:
            for variables, numbers in zip((network.inputs, network.outputs), ahead, strict=True):
                for variable in variables:
                    lines.append(f"{variable.name} {variable.kind} [{', '.join(map(str, variable.shape))}]")
                    lines += itertools.islice(numbers, variable.size)
        return "\n".join(lines)

    def _digits(self, index: int, value: float) -> str:
        text = f"{value:.17g}"
        if self.prop is None or not math.isfinite(value):
            return text
        box = self.prop.cases[self.case]
        at = index if self.prop.columns is None else self.prop.columns[index]
        if at in box.written and value == float(box.lower[at]):
            return str(box.written[at])
        low, high = (Decimal(float(side[at])) for side in box.innermost)
        if low <= Decimal(text) <= high or not low <= Decimal(value) <= high:
            return text
        for rounding in (ROUND_FLOOR, ROUND_CEILING):
            inside = Context(prec=17, rounding=rounding).create_decimal(Decimal(value))
            if low <= inside <= high:
                return str(inside)
        return repr(value)  # a side of no width, without a number of the file


def read_counterexample(text: str, prop: Property | None = None) -> tuple[Tensor, Tensor]:
    """x (n,) and y (k,), in float64, from such a text.

    Args:
        prop: the property, without which a text of version 2 cannot be read.

    Raises:
        PropertyError: it has another form, or leaves a number out.
    """
    if prop is not None and prop.networks:
        return _read_named(text, prop)
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


def _read_named(text: str, prop: Property) -> tuple[Tensor, Tensor]:
    lines = iter([line.strip() for line in text.splitlines() if line.strip()])
    x: list[float] = []
    y: list[float] = []
    try:
        for network in prop.networks:
            for variables, numbers in ((network.inputs, x), (network.outputs, y)):
                for variable in variables:
                    name, _, shape = next(lines).split(maxsplit=2)
                    if (name, shape.strip("[]").replace(" ", "")) != (
                        variable.name,
                        ",".join(map(str, variable.shape)),
                    ):
                        raise ValueError(name)
                    numbers += [float(next(lines)) for _ in range(variable.size)]
        if next(lines, None) is not None:
            raise ValueError("more lines")
    except (ValueError, StopIteration) as error:
        names = ", ".join(one.name for network in prop.networks for one in (*network.inputs, *network.outputs))
        raise PropertyError(
            f"expected the name, type and shape of {names}, each followed by its numbers, found {text[:60]!r}"
        ) from error
    return torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
