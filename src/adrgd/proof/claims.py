"""What is to be refuted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Goal, goal
from adrgd.bounds.margins import UNIT_ROUNDOFF, Margins
from adrgd.bounds.network import Network

Accept = Callable[[Tensor], bool]
"""The judge of a point (inputs,) where all functions of a claim seem to be zero or less: true ends the search."""


@dataclass(frozen=True)
class Claims:
    """Each claims that somewhere in its box all of its functions of the input x and the outputs y are zero or less.

    Attributes:
        boxes: one for each claim.
        on_outputs: (claims, rows, outputs) coefficients of y.
        on_inputs: (claims, rows, inputs) coefficients of x; None when there are none.
        offset: (claims, rows).
        counts: (claims, rows) which rows belong to the claim; the others are there to give all as many.
    """

    boxes: Boxes
    on_outputs: Tensor
    on_inputs: Tensor | None
    offset: Tensor
    counts: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def goal(self, network: Network, margins: Margins | None = None) -> Goal:
        """The functions, to be bounded from below."""
        return goal(network, len(network.sizes), self.on_outputs, self.offset, self.on_inputs, margins)

    def slack(self, stages: tuple[Tensor, ...]) -> Tensor:
        """(claims, rows) what rounding can move a bound by, at most."""
        slack = self.on_outputs.abs() @ stages[-1] + 64 * UNIT_ROUNDOFF * self.offset.abs()
        if self.on_inputs is not None:
            size = torch.maximum(self.boxes.lower.abs(), self.boxes.upper.abs())
            terms = 64 + 8 * self.on_inputs.shape[-1]
            slack = slack + terms * UNIT_ROUNDOFF * (self.on_inputs.abs() * size[:, None]).sum(2)
        return slack

    def values(self, claim: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(B,) the largest function of a claim at inputs x (B, inputs) with outputs y; it holds where that is <= 0."""
        found = torch.einsum("brk,bk->br", self.on_outputs[claim], y) + self.offset[claim]
        if self.on_inputs is not None:
            found = found + torch.einsum("brn,bn->br", self.on_inputs[claim], x)
        return found.masked_fill(~self.counts[claim], -torch.inf).amax(1)
