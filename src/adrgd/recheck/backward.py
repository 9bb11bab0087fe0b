"""Lower bounds of linear functions of a network's tensors over a box, step by step back to the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adrgd.recheck.arithmetic import Arithmetic, Array, Function, Numbers, Total
from adrgd.recheck.lines import Lines, lines
from adrgd.recheck.steps import Activation, Graph, Step

ROWS = 256  # functions that are followed at once


@dataclass(frozen=True)
class Box:
    """Corners (inputs,) of a box."""

    lower: Array
    upper: Array

    @property
    def sizes(self) -> Array:
        return np.maximum(np.abs(self.lower), np.abs(self.upper))


Slopes = Sequence[Array | None]
"""Of each layer, shares of the way between the least and the largest slope (neurons,) or one row for each function."""


def least(
    graph: Graph, arithmetic: Arithmetic, box: Box, start: Mapping[str, Function], total: Total,
    known: Sequence[Lines], *, slopes: Slopes | None = None, tilts: Mapping[int, Array] | None = None,
) -> Total:  # fmt: skip
    """A number that is never above the functions `start` of some tensors plus `total`, for each of them.

    Args:
        known: lines around the activations that stand before those tensors.
        slopes: of the lower lines of bent neurons, where they are not the usual ones.
        tilts: (neurons,) for some layers: numbers to add to the coefficients of what the neurons take, which is sound
            where each is the opposite of a sign that the neuron has.
    """
    functions = dict(start)
    for step in reversed(graph.steps):
        activation = step.activation
        if activation is not None and activation.layer < len(known):
            function = functions.pop(step.output, None)
            tilt = None if tilts is None else tilts.get(activation.layer)
            if function is not None or tilt is not None:
                around = known[activation.layer]
                shares = None if slopes is None else slopes[activation.layer]
                _through(functions, step, function, around, shares, tilt, total, arithmetic, activation)
        elif (function := functions.pop(step.output, None)) is not None:
            _back(functions, step, function, total, arithmetic)
    at_input = functions.pop(graph.input, None)
    if at_input is not None:
        negative, positive = arithmetic.halves(at_input.value)
        total.add(positive, arithmetic.read(box.lower), box.sizes)
        total.add(negative, arithmetic.read(box.upper), box.sizes)
        total.pay(at_input.error, box.sizes)
    return total


def _back(functions: dict[str, Function], step: Step, function: Function, total: Total, arithmetic: Arithmetic) -> None:
    """From a step's result to what it is computed from."""
    if step.added is not None:
        sizes = np.abs(step.added)
        total.add(function.value, arithmetic.constant(step.added, False), sizes)
        total.pay(function.error, sizes)
    for name, part in step.parts:
        _put(functions, name, function if part is None else arithmetic.pulled(part, function), arithmetic)


def _through(
    functions: dict[str, Function], step: Step, function: Function | None, around: Lines, shares: Array | None,
    tilt: Array | None, total: Total, arithmetic: Arithmetic, activation: Activation,
) -> None:  # fmt: skip
    """Through an activation: with the line that keeps the inequality for each sign of a coefficient."""
    name = step.parts[0][0]
    value: Numbers
    if function is None:
        value = arithmetic.read(np.zeros((len(total.lost), step.size)))
    else:
        total.pay(function.error, around.after(activation))
        negative, positive = arithmetic.halves(function.value)
        total.add(negative, arithmetic.read(around.upper_offset), np.abs(around.upper_offset))
        total.add(positive, arithmetic.read(around.lower_offset), np.abs(around.lower_offset))
        below = around.lower_slope
        if shares is not None:
            below = lines(activation, around.lower, around.upper, shares).lower_slope
        value = positive * arithmetic.read(below) + negative * arithmetic.read(around.upper_slope)
    before = arithmetic.rounded(Function(value, None), 2)
    if tilt is not None:
        rows = arithmetic.read(np.broadcast_to(tilt, (len(total.lost), step.size)))
        before = arithmetic.sum(before, Function(rows, None))
    if before.error is not None:  # what the neurons take is bounded, so that this can be paid at once
        total.pay(before.error, around.before)
        before = Function(before.value, None)
    _put(functions, name, before, arithmetic)


def _put(functions: dict[str, Function], name: str, function: Function, arithmetic: Arithmetic) -> None:
    there = functions.get(name)
    functions[name] = function if there is None else arithmetic.sum(there, function)


Chosen = tuple[Array, Array] | None
"""Neurons (n,) of a layer, and the shares (2, n, neurons of all layers before) in their lower and upper bounds."""


def bounds(
    graph: Graph, arithmetic: Arithmetic, box: Box, choose: Callable[[int, Array, Array, Sequence[Lines]], Chosen]
) -> list[Lines]:
    """Lines around all activations over a box, from bounds found layer by layer.

    Args:
        choose: told a layer, the bounds of its neurons with the usual slopes and the lines of all layers before, names
            neurons to be bounded once more with slopes of their own.
    """
    found: list[Lines] = []
    for activation, size, name in zip(graph.activations, graph.sizes, graph.before, strict=True):
        ends = np.full(size, -np.inf), np.full(size, np.inf)
        everything = np.arange(size)
        _tighten(graph, arithmetic, box, name, everything, ends, found, None)
        chosen = choose(activation.layer, *ends, found)
        if chosen is not None:
            _tighten(graph, arithmetic, box, name, chosen[0], ends, found, chosen[1])
        found.append(lines(activation, *ends, None))
    return found


def _tighten(
    graph: Graph, arithmetic: Arithmetic, box: Box, name: str, neurons: Array, ends: tuple[Array, Array],
    known: Sequence[Lines], shares: Array | None,
) -> None:  # fmt: skip
    """Move both ends of some neurons of a tensor inwards where the bounds with these slopes are better."""
    for side, end, better in ((0, ends[0], np.maximum), (1, ends[1], np.minimum)):
        sign = 1.0 - 2.0 * side
        for at in range(0, len(neurons), ROWS):
            rows = neurons[at : at + ROWS]
            picked = np.zeros((len(rows), len(end)))
            picked[np.arange(len(rows)), rows] = sign
            start = {name: Function(arithmetic.read(picked), None)}
            slopes: Slopes | None = None
            if shares is not None:
                slopes = np.split(shares[side, at : at + ROWS], np.cumsum(graph.sizes[: len(known)])[:-1], 1)
            total = least(graph, arithmetic, box, start, Total(len(rows), arithmetic), known, slopes=slopes)
            end[rows] = better(end[rows], sign * total.down())
