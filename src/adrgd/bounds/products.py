"""The second layer's bounds by tables of products of the first two matrices.

With them, following the second layer back to the input is two matrix products for a whole batch of boxes, without a
table of size boxes x neurons x neurons.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes
from adrgd.bounds.network import Matrices
from adrgd.bounds.pairs import Product
from adrgd.bounds.relaxation import Relaxation

ENTRIES = 4_000_000  # numbers in each table, at most: 32 MB

Tables = tuple[Tensor, Tensor]


def tables(network: Matrices) -> Tables | None:
    """W_2[j, i] W_1[i, k] and |W_2[j, i]| W_1[i, k] with a row for each i; None where it is no chain, or too large."""
    if len(network.sizes) < 2 or set(network.parts[0]) != {0} or set(network.parts[1]) != {1}:
        return None
    if isinstance(network.curves[0], Product):
        return None
    inner, outer = network.parts[0][0], network.parts[1][1]
    if inner.numel() * len(outer) > ENTRIES:
        return None
    turned = outer.T[:, :, None]
    return (turned * inner[:, None]).flatten(1), (turned.abs() * inner[:, None]).flatten(1)


def second_layer(network: Matrices, known: Tables, relaxation: Relaxation, boxes: Boxes) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds (boxes, neurons) of the second layer, with given lines around the first."""
    weight, absolute = network.parts[1][1], network.absolute[1][1]
    radius = boxes.radius[:, :, None]
    first = torch.addmm(network.constants[0], boxes.centre, network.parts[0][0].T)
    # The lines are mean +- half around each neuron: the coefficients of the upper bound are the sum of the two parts,
    # those of the lower bound their difference.
    mean = (relaxation.upper_slope + relaxation.lower_slope) / 2
    half = (relaxation.upper_slope - relaxation.lower_slope) / 2
    at_centre = torch.addmm(network.constants[1], mean * first, weight.T)
    spread = (half * first) @ absolute.T
    part = (mean @ known[0]).view(len(boxes), len(weight), -1)
    other = (half @ known[1]).view_as(part)
    positive, negative = weight.clamp(min=0).T, weight.clamp(max=0).T
    lower = at_centre - spread + relaxation.upper_offset @ negative
    upper = at_centre + spread + relaxation.upper_offset @ positive
    if relaxation.lower_offset is not None:
        lower, upper = lower + relaxation.lower_offset @ positive, upper + relaxation.lower_offset @ negative
    upper += torch.bmm((part + other).abs_(), radius)[:, :, 0]
    lower -= torch.bmm(part.sub_(other).abs_(), radius)[:, :, 0]
    return lower, upper
