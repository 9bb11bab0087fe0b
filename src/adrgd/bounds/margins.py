"""What rounding can move a bound by, taken off step by step as the bound is computed.

A bound is followed back through stages. The coefficients that a stage is left with are rounded ones; but they can be
taken for exact, if what the rounding of this one step is worth is taken off the bound: that is the error of each
coefficient times the largest value of what it multiplies. So no error grows on its way.

A stage's map, transposed by autograd, gives coefficients with a relative error of at most `roundings * unit` of the sum
of the absolute values of their terms. With the largest values of the sources, these sums add up to `|rows| R`, where
R is what the stage makes of the sources' largest values with all constants in absolute values: one vector a stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import image, rise, steepest

UNIT_ROUNDOFF = 2.0**-53
UNITS = {torch.float64: UNIT_ROUNDOFF, torch.float32: 2.0**-24}
SUMMED = UNIT_ROUNDOFF  # sums over neurons and inputs are in float64
MORE = 1.25  # for terms of higher order, and the rounding of what is computed here
FEW = 16  # roundings beside those of a stage's calls


class Margins:
    """The margins of a network over some boxes, as far as its pre-activations are known.

    Attributes:
        steps: of each stage (size,), for each unit of a coefficient of its results.
        lines: of each layer (size,), for each unit of a coefficient of its outputs.
        inputs, given: (inputs,) the same of the input; where a claim has coefficients of it, too.
    """

    def __init__(self, network: Network, lower: Tensor, upper: Tensor) -> None:
        """Boxes (boxes, inputs) are given by their corners."""
        self.network = network
        self.corner = torch.maximum(lower.abs(), upper.abs()).amax(0, keepdim=True)
        self.steps: list[Tensor] = []
        self.lines: list[Tensor] = []
        self.largest: list[Tensor] = []
        self.inputs = MORE * (FEW + 4 * network.inputs) * SUMMED * self.corner[0]
        self.given = self.inputs + 8 * UNITS[network.dtype] * self.corner[0]
        self.extend([])

    def extend(self, intervals: Sequence[tuple[Tensor, Tensor]]) -> Margins:
        """Take in the intervals (boxes, size) of all layers up to some, which may be more than before."""
        network, unit = self.network, UNITS[self.network.dtype]
        for layer in range(len(self.lines), len(intervals)):
            lower, upper = intervals[layer]
            ends = image(network.curves[layer], lower, upper)
            height = torch.maximum(*(end.abs() for end in ends)).amax(0)
            width = torch.maximum(lower.abs(), upper.abs()).amax(0)
            steep = steepest(network.curves[layer], lower, upper).amax(0).clamp(min=1.0)
            counted = MORE * (8 * unit + (64 + len(width)) * SUMMED)
            self.lines.append(counted * (2 * rise(network.curves[layer], steep, width) + height))
            self.largest.append(height[None])
            self._add_step()
        if not self.steps:
            self._add_step()
        return self

    def _add_step(self) -> None:
        stage = len(self.steps)
        reach = _reach(self.network, self.corner, self.largest, stage)
        stages = len(self.network.sizes) + 1
        there, back = self.network.roundings[stage]
        counted = (back + FEW + stages) * UNITS[self.network.dtype] + (64 + there + len(reach)) * SUMMED
        self.steps.append(MORE * counted * reach + (self.network.off[stage] if self.network.off else 0.0))


def _reach(network: Network, corner: Tensor, largest: list[Tensor], stage: int) -> Tensor:
    """(size,) what a stage makes of the largest values of its sources."""
    kind = network.dtype
    return network.reach(corner.to(kind), lambda layer, h: largest[layer].to(kind), stage)[0].double()
