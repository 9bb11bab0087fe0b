"""Bounds on every pre-activation of a network over many boxes at once, by backward linear relaxation.

The bounds of a neuron are found by writing it as a linear function of an earlier layer and replacing, layer by
layer, each ReLU by the one of its two lines that keeps the inequality, down to the input, where a linear function
over a box is bounded exactly (Zhang et al. 2018, CROWN). They are intersected with plain interval bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from adrgd.exact.affine import Mlp
from adrgd.exact.relaxation import Relaxation, relax
from adrgd.exact.rounding import rounding_slack

_PRODUCT_ENTRIES = 4_000_000  # at most 32 MB for each table of products of the first two layers


@dataclass(frozen=True)
class Interval:
    """Pre-activations of one layer over a batch of boxes: `lower` and `upper` have shape (boxes, neurons)."""

    lower: Tensor
    upper: Tensor


class Bounder:
    """Bounds the pre-activations of one network; every box passed must lie in the domain given here."""

    def __init__(self, mlp: Mlp, lower: Tensor, upper: Tensor) -> None:
        self.mlp = mlp
        self.slack = rounding_slack(mlp, lower, upper)
        self._absolute = tuple(weight.abs() for weight in mlp.weights)
        self._products = self._first_products() if mlp.hidden >= 2 else None

    def entries_per_box(self) -> int:
        """Numbers held for one box while it is bounded, which tells how many boxes fit in the cache."""
        widths = [weight.shape[0] for weight in self.mlp.weights]
        entries = self.mlp.inputs + sum(widths)
        if self.mlp.hidden >= 2:
            inner = self.mlp.inputs if self._products is not None else widths[0]
            entries = max(entries, widths[1] * inner)
        for before, width in pairwise(widths[1:-1]):
            entries = max(entries, width * before)
        return entries

    def intervals(self, lower: Tensor, upper: Tensor) -> list[Interval]:
        """Bounds of every hidden pre-activation over the boxes [lower, upper], both (boxes, inputs)."""
        return [interval for interval, _ in self._hidden(lower, upper)]

    def relaxations(self, lower: Tensor, upper: Tensor) -> list[Relaxation]:
        """The relaxation of every ReLU layer over the boxes [lower, upper], both (boxes, inputs)."""
        return [relaxation for _, relaxation in self._hidden(lower, upper)]

    def _hidden(self, lower: Tensor, upper: Tensor) -> list[tuple[Interval, Relaxation]]:
        input_radius = (upper - lower) / 2
        centre, radius = (lower + upper) / 2, input_radius
        first = torch.addmm(self.mlp.biases[0], centre, self.mlp.weights[0].T)
        found: list[tuple[Interval, Relaxation]] = []
        for layer in range(self.mlp.hidden):
            interval = self._affine_image(layer, centre, radius)
            if layer > 0:
                relaxations = [relaxation for _, relaxation in found]
                if layer == 1 and self._products is not None:
                    linear = self._second_layer(first, input_radius, relaxations[0], self._products)
                else:
                    linear = self._deep_layer(layer, first, input_radius, relaxations)
                slack = self.slack[layer]
                interval = Interval(
                    torch.maximum(interval.lower, linear.lower - slack),
                    torch.minimum(interval.upper, linear.upper + slack),
                )
            found.append((interval, relax(interval.lower, interval.upper)))
            low, high = interval.lower.relu(), interval.upper.relu()
            centre, radius = (low + high) / 2, (high - low) / 2
        return found

    def _affine_image(self, layer: int, centre: Tensor, radius: Tensor) -> Interval:
        middle = torch.addmm(self.mlp.biases[layer], centre, self.mlp.weights[layer].T)
        reach = torch.addmm(self.slack[layer], radius, self._absolute[layer].T)
        return Interval(middle - reach, middle + reach)

    def _first_products(self) -> tuple[Tensor, Tensor] | None:
        """`W_2[j, i] W_1[i, k]` and `|W_2[j, i]| W_1[i, k]` as matrices with a row for each `i`.

        With them, the backward pass of the second layer is two matrix products for a whole batch of boxes, without a
        temporary of size boxes x neurons x neurons.
        """
        inner, outer = self.mlp.weights[0], self.mlp.weights[1]
        if inner.numel() * outer.shape[0] > _PRODUCT_ENTRIES:
            return None
        signed = outer.T[:, :, None] * inner[:, None, :]
        absolute = outer.abs().T[:, :, None] * inner[:, None, :]
        return signed.flatten(1), absolute.flatten(1)

    def _second_layer(
        self, first: Tensor, radius: Tensor, relaxation: Relaxation, products: tuple[Tensor, Tensor]
    ) -> Interval:
        """Bounds of layer two; `first` is the first pre-activation at the centres of the boxes."""
        weight, absolute = self.mlp.weights[1], self._absolute[1]
        mean, half = _mean_and_half(relaxation)
        # The lines are mean +- half around each neuron: the coefficients of the upper bound are the sum of the two
        # parts, those of the lower bound their difference.
        at_centre = torch.addmm(self.mlp.biases[1], mean * first, weight.T)
        spread = (half * first) @ absolute.T
        part = (mean @ products[0]).view(radius.shape[0], weight.shape[0], -1)
        other = (half @ products[1]).view_as(part)
        reach = radius[:, :, None]
        upper = at_centre + spread + relaxation.upper_offset @ weight.clamp(min=0).T
        upper += torch.bmm((part + other).abs_(), reach).squeeze(2)
        lower = at_centre - spread + relaxation.upper_offset @ weight.clamp(max=0).T
        lower -= torch.bmm(part.sub_(other).abs_(), reach).squeeze(2)
        return Interval(lower, upper)

    def _deep_layer(self, layer: int, first: Tensor, radius: Tensor, relaxations: list[Relaxation]) -> Interval:
        """Bounds of any layer after the first, by the backward pass written out."""
        bounds = []
        for sign in (-1.0, 1.0):
            rows = self.mlp.weights[layer].expand(radius.shape[0], -1, -1)
            total = self.mlp.biases[layer].expand(radius.shape[0], -1)
            for index in range(layer - 1, -1, -1):
                relaxation = relaxations[index]
                mean, half = _mean_and_half(relaxation)
                gap = (sign * rows).clamp_(min=0)
                total = total + sign * torch.bmm(gap, relaxation.upper_offset[:, :, None]).squeeze(2)
                rows = rows * mean[:, None] + rows.abs() * (sign * half)[:, None]
                if index > 0:
                    total = total + rows @ self.mlp.biases[index]
                else:
                    total = total + torch.bmm(rows, first[:, :, None]).squeeze(2)
                rows = rows @ self.mlp.weights[index]
            bounds.append(total + sign * torch.bmm(rows.abs(), radius[:, :, None]).squeeze(2))
        return Interval(bounds[0], bounds[1])


def _mean_and_half(relaxation: Relaxation) -> tuple[Tensor, Tensor]:
    mean = (relaxation.upper_slope + relaxation.lower_slope) / 2
    half = (relaxation.upper_slope - relaxation.lower_slope) / 2
    return mean, half
