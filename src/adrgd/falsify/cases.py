"""From the formulas of a file to the boxes and rows of its property."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from adrgd.falsify.alternatives import alternatives
from adrgd.falsify.equal import renumbered, tied
from adrgd.falsify.formula import Atom, Formula, Written
from adrgd.falsify.implied import OPEN, Corners, implied, open_sides
from adrgd.falsify.property import Case, Property, PropertyError
from adrgd.files import limits

Names = Callable[[int], str]
"""What an input is called, by its number."""


class Box(NamedTuple):
    """The sides of a box as float64 reads them, the outermost float64 inside their decimals, and sides of no width."""

    lower: Tensor
    upper: Tensor
    least: Tensor
    most: Tensor
    written: dict[int, Decimal]


def build_property(
    asserted: Sequence[Formula], *, inputs: int, outputs: int, deadline: float = math.inf, name: str | Names = "X_{}"
) -> Property:
    """Multiply the asserted formulas out into cases; those whose box is empty are dropped.

    A constraint on one input alone moves a side of the box; every other one becomes a row. Inputs that are always equal
    become one.

    Args:
        name: of an input in errors, its number in place of {}; or what gives it.

    Raises:
        PropertyError: an input has no lower or no upper bound, or there are too many cases.
        TimeUpError: the deadline, a value of `time.monotonic()`, has passed.
    """
    common, rest = alternatives(asserted, deadline=deadline)
    called = name.format if isinstance(name, str) else name
    columns = tied(common, inputs)
    if columns is not None:
        inputs = max(columns) + 1
        merged = renumbered(common, columns)
        rest = (tuple(again) for one in rest if (again := renumbered(one, columns)) is not None)
        if merged is None:
            rest = iter(())
        common = merged or []
        first = [columns.index(at) for at in range(inputs)]
        called = partial(_first, called, first)
    shared, rows = _split(common, {})
    boxes: dict[frozenset[tuple[int, tuple[float, float]]], Box | None] = {}
    cases, made = [], 0
    for alternative in rest:
        own, more = _split(alternative, shared)
        key = frozenset(own.items())
        if key not in boxes:
            corners = implied(shared | own, rows, inputs)
            alone = open_sides(corners, inputs)  # what a case's own rows imply is of no use to others
            box = boxes[key] = _box(implied(corners, [*rows, *more], inputs) if alone else corners, inputs, called)
            if alone:
                del boxes[key]
            made += 4 * inputs
        else:
            box = boxes[key]
        if box is not None:
            mixed = _mixed(rows) or _mixed(more)
            made += (len(rows) + len(more)) * (outputs + mixed * inputs)
            check_room(made)
            cases.append(_case(box, rows + more, outputs, mixed))
    return Property(tuple(cases), inputs, outputs, columns)


def _split(atoms: Sequence[Atom], outer: Corners) -> tuple[Corners, list[Atom]]:
    """The bounds of inputs that these constraints tighten beyond `outer`, and the constraints that stay rows."""
    corners: Corners = {}
    rows = []
    for atom in atoms:
        variable, weight = next(iter(atom.weights.items()))
        if variable < 0 or len(atom.weights) > 1:
            rows.append(atom)
            continue
        before = corners.get(variable) or outer.get(variable, OPEN)
        limit = _limit(atom.bound, weight, atom.strict)
        after = (before[0], min(before[1], limit)) if weight > 0 else (max(before[0], limit), before[1])
        if after != before:
            corners[variable] = after
    return corners, rows


def _limit(bound: float, weight: float, strict: bool) -> float:
    """The side of a box that weight * x <= bound means."""
    if isinstance(bound, Written) and weight in (1, -1) and not strict:
        return bound if weight > 0 else -bound
    limit = bound / weight + 0.0  # never -0.0
    if strict:  # in float64, x < b is the same as x <= the number before b
        limit = math.nextafter(limit, -math.inf if weight > 0 else math.inf)
    return limit


def _first(called: Names, first: Sequence[int], at: int) -> str:
    """The name of an input that several have become: that of the first of them."""
    return called(first[at])


def _box(corners: Corners, inputs: int, called: Names) -> Box | None:
    if any(low > high for low, high in corners.values()):
        return None
    check_room(4 * min(inputs, len(corners)))
    first = next((index for index in range(inputs) if index not in corners), inputs)
    sides = [corners.get(index, OPEN) for index in range(min(first + 1, inputs))]
    for index, (low, high) in enumerate(sides):
        for side, value in (("lower", low), ("upper", high)):
            if not math.isfinite(value):
                raise PropertyError(
                    f"expected bounds for every input, found {called(index)} without {side} bound; add one"
                )
    both = torch.tensor(sides, dtype=torch.float64).reshape(inputs, 2)
    inside = torch.tensor([_inside(*pair) for pair in sides], dtype=torch.float64).reshape(inputs, 2)
    lower, upper = both[:, 0].contiguous(), both[:, 1].contiguous()
    written = {
        index: low.decimal for index, (low, high) in enumerate(sides) if low == high and isinstance(low, Written)
    }
    if torch.equal(both, inside):
        return Box(lower, upper, lower, upper, written)
    return Box(lower, upper, inside[:, 0].contiguous(), inside[:, 1].contiguous(), written)


def _inside(low: float, high: float) -> tuple[float, float]:
    """The float64 inside the decimals of a side; the nearest ones where there is none."""
    least = low.at_least() if isinstance(low, Written) else low
    most = high.at_most() if isinstance(high, Written) else high
    return (least, most) if least <= most else (low, high)


def check_room(numbers: int) -> None:
    """See that tables of so many numbers may be made.

    Raises:
        PropertyError: they are too large.
    """
    try:
        limits.check("computed", 8 * numbers, "it")
    except limits.TooLargeError as error:
        raise PropertyError(
            f"expected a property whose cases fit into memory as tables, found that {error}; split the file"
        ) from error


def _mixed(rows: Sequence[Atom]) -> bool:
    return any(variable >= 0 for row in rows for variable in row.weights)


def _case(box: Box, rows: list[Atom], outputs: int, mixed: bool) -> Case:
    on_inputs = torch.zeros(len(rows), len(box.lower) if mixed else 0, dtype=torch.float64)
    on_outputs = torch.zeros(len(rows), outputs, dtype=torch.float64)
    for place, row in enumerate(rows):
        for variable, weight in row.weights.items():
            side, index = (on_inputs, variable) if variable >= 0 else (on_outputs, -1 - variable)
            side[place, index] = weight
    return Case(
        box.lower,
        box.upper,
        inside=(box.least, box.most),
        written=box.written,
        on_outputs=on_outputs,
        on_inputs=on_inputs if mixed else None,
        bound=torch.tensor([row.bound for row in rows], dtype=torch.float64),
        strict=torch.tensor([row.strict for row in rows], dtype=torch.bool),
    )
