"""Random tiny networks with properties that only just hold or only just do not, and the truth about them.

With one or two inputs the truth comes from all pieces of the network: the box is cut into polygons in which it is
affine. With more it comes from a mixed-integer program, solved by HiGHS.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import nn

from adrgd.bounds.backward import Boxes
from adrgd.proof.claims import Claims

BEYOND = 1e4  # no value of these networks is as large
SECONDS = 5.0  # for a program
Array = np.ndarray[Any, Any]

Hinges = tuple[float, tuple[tuple[float, float], ...]]
"""The slope before the first bend; then where it bends, and by how much."""

ACTIVATIONS: dict[str, tuple[nn.Module, Hinges, float]] = {
    "ReLU": (nn.ReLU(), (0.0, ((0.0, 1.0),)), 0.0),
    "LeakyReLU": (nn.LeakyReLU(0.1), (0.1, ((0.0, 0.9),)), 0.0),
    "Hardtanh": (nn.Hardtanh(), (0.0, ((-1.0, 1.0), (1.0, -1.0))), -1.0),
}
"""Module, hinges, and the value where all hinges are zero and the slope is."""


@dataclass(frozen=True)
class Problem:
    """A network and a property.

    Attributes:
        layers: weights and biases.
        boxes: corners (cases, inputs) of each case's box.
        rows: (cases, rows, outputs), `on_inputs` (cases, rows, inputs), and `offset`, one number for all.
        truth: "sat" or "unsat"; "" where the program was not solved.
        by: what tells the truth.
    """

    layers: list[tuple[Array, Array]]
    activation: str
    boxes: tuple[Array, Array]
    rows: Array
    on_inputs: Array
    offset: float
    truth: str
    by: str

    @property
    def network(self) -> nn.Module:
        """The network as a module, in double precision."""
        parts: list[nn.Module] = []
        for weight, bias in self.layers:
            linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64).requires_grad_(False)
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))
            parts += [linear, ACTIVATIONS[self.activation][0]]
        return nn.Sequential(*parts[:-1])

    @property
    def claims(self) -> Claims:
        """The property as it is refuted."""
        boxes = Boxes(*(torch.tensor(corner) for corner in self.boxes))
        shape = self.rows.shape[:2]
        on_inputs = torch.tensor(self.on_inputs) if self.on_inputs.any() else None
        offset = torch.full(shape, self.offset, dtype=torch.float64)
        return Claims(boxes, torch.tensor(self.rows), on_inputs, offset, torch.ones(shape, dtype=torch.bool))


def problem(seed: int) -> Problem:
    """1 to 4 inputs, one to three layers of 2 to 6 neurons, up to three cases of up to three constraints."""
    random = np.random.default_rng(seed)
    inputs, outputs = int(random.integers(1, 5)), int(random.integers(1, 4))
    widths = [inputs, *(int(n) for n in random.integers(2, 7, size=random.integers(1, 4))), outputs]
    activation = str(random.choice(list(ACTIVATIONS), p=[0.6, 0.2, 0.2]))
    layers = [
        (random.normal(size=(after, before)) * 1.2 / np.sqrt(before), random.normal(size=after) * 0.5)
        for before, after in itertools.pairwise(widths)
    ]
    cases, rows = int(random.integers(1, 4)), int(random.integers(1, 4))
    lower = random.uniform(-1.5, 0.5, (cases if random.random() < 0.4 else 1, inputs))
    upper = lower + random.uniform(0, 2, lower.shape) * (random.random(lower.shape) > 0.1)
    lower, upper = (np.broadcast_to(corner, (cases, inputs)).copy() for corner in (lower, upper))
    on_outputs = random.normal(size=(cases, rows, outputs))
    on_inputs = random.normal(size=(cases, rows, inputs)) * (random.random() < 0.3)
    found = []
    by = "pieces" if inputs <= 2 else "program"
    for case in range(cases):
        given = layers, ACTIVATIONS[activation][1:], lower[case], upper[case], on_outputs[case], on_inputs[case]
        found.append(by_pieces(*given) if by == "pieces" else by_program(*given))
    optimum = min((value for value in found if value is not None), default=0.0)
    shift = optimum + random.choice([-1, 1]) * 10 ** random.uniform(-5, -0.5)
    truth = "" if None in found else "sat" if optimum < shift else "unsat"
    return Problem(layers, activation, (lower, upper), on_outputs, on_inputs, -shift, truth, by)


def by_pieces(
    layers: list[tuple[Array, Array]], shape: tuple[Hinges, float], lower: Array, upper: Array, rows: Array,
    on_inputs: Array,
) -> float:  # fmt: skip
    """The minimum over the box of the largest row, over all polygons in which the network is affine."""
    inputs = len(lower)
    if inputs == 1:
        corners = np.array([lower, upper])
    else:
        corners = np.array([[lower[0], lower[1]], [upper[0], lower[1]], [upper[0], upper[1]], [lower[0], upper[1]]])
    (slope, hinges), base = shape
    identity = np.eye(inputs, inputs + 1)
    cells = [(np.column_stack([corners, np.ones(len(corners))]), identity)]
    for weight, bias in layers[:-1]:
        following = []
        for polygon, given in cells:
            h = weight @ given
            h[:, -1] += bias
            pieces = [polygon]
            for line in h:
                for at, _ in hinges:
                    moved = line.copy()
                    moved[-1] -= at
                    pieces = [part for piece in pieces for part in _cut(piece, moved)]
            for piece in pieces:
                middle = piece.mean(0) @ h.T
                slopes = slope + sum(jump * (middle > at) for at, jump in hinges)
                shifts = base - sum(jump * at * (middle > at) for at, jump in hinges)
                made = h * slopes[:, None]
                made[:, -1] += shifts
                following.append((piece, made))
        cells = following
    least = np.inf
    weight, bias = layers[-1]
    for polygon, given in cells:
        y = weight @ given
        y[:, -1] += bias
        values = rows @ y
        values[:, :-1] += on_inputs
        pieces = [polygon]
        for first, second in itertools.combinations(values, 2):
            pieces = [part for piece in pieces for part in _cut(piece, first - second)]
        least = min(least, *((piece @ values.T).max(1).min() for piece in pieces))
    return float(least)


def _cut(polygon: Array, line: Array) -> list[Array]:
    """A convex polygon, corners (n, inputs + 1) in order, cut along a line where it crosses."""
    values = polygon @ line
    if values.min() >= -1e-14 or values.max() <= 1e-14:
        return [polygon]
    sides: tuple[list[Array], list[Array]] = ([], [])
    for k, value in enumerate(values):
        after = (k + 1) % len(values)
        for side, sign in zip(sides, (1, -1), strict=True):
            if sign * value >= 0:
                side.append(polygon[k])
        if value * values[after] < 0:
            share = value / (value - values[after])
            corner = polygon[k] + share * (polygon[after] - polygon[k])
            for side in sides:
                side.append(corner)
    return [np.array(side) for side in sides]


def by_program(
    layers: list[tuple[Array, Array]], shape: tuple[Hinges, float], lower: Array, upper: Array, rows: Array,
    on_inputs: Array,
) -> float | None:  # fmt: skip
    """The minimum over the box of the largest row; None where HiGHS does not find it in time."""
    (slope, hinges), base = shape
    sides = list(zip(lower, upper, strict=True))
    whole = [0] * len(sides)
    found: list[tuple[dict[int, float], float, float]] = []
    current = list(range(len(sides)))
    low, high = lower, upper

    def variable(least: float, most: float, integer: int = 0) -> int:
        sides.append((least, most))
        whole.append(integer)
        return len(sides) - 1

    for weight, bias in layers[:-1]:
        middle, reach = weight @ ((low + high) / 2) + bias, abs(weight) @ ((high - low) / 2)
        ends = np.stack([middle - reach, middle + reach])
        images = base + slope * ends + sum(jump * np.maximum(ends - at, 0) for at, jump in hinges)
        following = []
        for j in range(len(bias)):
            z = variable(images[:, j].min() - 1e-9, images[:, j].max() + 1e-9)
            h = {v: weight[j, i] for i, v in enumerate(current)}
            made = {z: -1.0, **{v: slope * value for v, value in h.items()}}
            constant = base + slope * bias[j]
            for at, jump in hinges:
                least, most = ends[0, j] - at, ends[1, j] - at
                if least >= 0:
                    constant += jump * (bias[j] - at)
                    made.update({v: made.get(v, 0.0) + jump * value for v, value in h.items()})
                elif most > 0:
                    hinge, active = variable(0.0, most + 1e-9), variable(0.0, 1.0, 1)
                    made[hinge] = jump
                    above = {hinge: 1.0, **{v: -value for v, value in h.items()}}
                    found.append((above, bias[j] - at, np.inf))
                    found.append(({**above, active: -least}, -np.inf, bias[j] - at - least))
                    found.append(({hinge: 1.0, active: -most}, -np.inf, 0.0))
            found.append((made, -constant, -constant))
            following.append(z)
        current, low, high = following, images.min(0), images.max(0)
    top = variable(-BEYOND, BEYOND)
    last, constants = rows @ layers[-1][0], rows @ layers[-1][1]
    for row, own, offset in zip(last, on_inputs, constants, strict=True):
        terms = {top: 1.0, **{k: -value for k, value in enumerate(own)}}
        terms |= {v: terms.get(v, 0.0) - row[i] for i, v in enumerate(current)}
        found.append((terms, offset, np.inf))
    matrix = np.zeros((len(found), len(sides)))
    for at, (coefficients, _, _) in enumerate(found):
        for v, value in coefficients.items():
            matrix[at, v] += value
    objective = np.zeros(len(sides))
    objective[top] = 1.0
    solved = milp(
        objective, integrality=whole, bounds=Bounds([a for a, _ in sides], [b for _, b in sides]),
        constraints=LinearConstraint(matrix, [a for _, a, _ in found], [b for _, _, b in found]),
        options={"mip_rel_gap": 1e-9, "time_limit": SECONDS},
    )  # fmt: skip
    return float(solved.fun) if solved.status == 0 else None
