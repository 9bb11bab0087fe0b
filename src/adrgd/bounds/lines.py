"""Two linear functions of the input around every neuron, carried forward: cheap bounds where there are few inputs.

A pair of lines is kept as its mean and half its distance, functions of e in [-1, 1]^n where x = centre + radius e. An
affine map with matrix W acts on the mean with W and on the distance with |W|.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.activations import PiecewiseLinear
from adrgd.bounds.backward import Boxes
from adrgd.bounds.network import Matrices
from adrgd.bounds.pairs import across
from adrgd.bounds.relaxation import Relaxation, image, relax

Interval = tuple[Tensor, Tensor]
"""Lower and upper bounds of a layer's pre-activations: (boxes, neurons) each."""


@dataclass(frozen=True)
class Forward:
    """What one pass forward finds out.

    Attributes:
        intervals: of each layer.
        shares: of each layer (boxes, inputs, neurons): how much each input moves the neuron, over the box.
    """

    intervals: list[Interval]
    shares: list[Tensor]


def forward(network: Matrices, boxes: Boxes, slack: tuple[Tensor, ...], known: list[Interval] | None = None) -> Forward:
    """Bounds of all pre-activations over the boxes, no worse than those that are `known`."""
    count, inputs = boxes.lower.shape
    start = boxes.lower.new_zeros(count, inputs + 1, inputs)
    start[:, :inputs] = torch.diag_embed(boxes.radius)
    start[:, inputs] = boxes.centre
    pairs: list[tuple[Tensor, Tensor | None]] = [(start, None)]
    found = Forward([], [])
    hinges = all(isinstance(curve, PiecewiseLinear) for curve in network.curves)  # lines around them serve well
    images: dict[int, Interval] = {}
    for layer in range(len(network.sizes)):
        mean, half = _affine(network, layer, pairs)
        upper_line = mean if half is None else mean + half
        lower_line = mean if half is None else mean - half
        above = upper_line[:, :inputs].abs().sum(1)
        below = above if half is None else lower_line[:, :inputs].abs().sum(1)
        lower = lower_line[:, inputs] - below - slack[layer]
        upper = upper_line[:, inputs] + above + slack[layer]
        if images and any(source in images for source in network.parts[layer]):
            low, high = from_images(network, layer, boxes, images)
            lower, upper = lower.nan_to_num(-torch.inf, torch.inf, -torch.inf), upper.nan_to_num(torch.inf)
            lower, upper = torch.maximum(lower, low - slack[layer]), torch.minimum(upper, high + slack[layer])
            upper = torch.maximum(lower, upper)
        if known is not None:
            lower, upper = torch.maximum(lower, known[layer][0]), torch.minimum(upper, known[layer][1])
            upper = torch.maximum(lower, upper)
        found.intervals.append((lower, upper))
        found.shares.append(mean[:, :inputs].abs().nan_to_num(0.0))
        if layer + 1 < len(network.sizes):
            relaxation = relax(network.curves[layer], lower, upper)
            pairs.append(_through(relaxation, lower_line, upper_line, inputs))
            if not hinges:
                images[layer + 1] = image(network.curves[layer], lower, upper)
    return found


def influence(network: Matrices, boxes: Boxes, relaxations: list[Relaxation]) -> list[Tensor]:
    """About how much each input moves the neurons of each layer over the boxes: (boxes, inputs, neurons).

    Followed forward along the middles between lines that are known.
    """
    behind = [torch.diag_embed(boxes.radius)]
    found = []
    for layer, relaxation in enumerate(relaxations):
        total = sum(behind[source] @ matrix.T for source, matrix in network.parts[layer].items())
        mean = total if isinstance(total, Tensor) else behind[0].new_zeros(1, 1, network.sizes[layer])
        found.append(mean.abs())
        if layer + 1 < len(relaxations):
            slope = ((relaxation.upper_slope + relaxation.lower_slope) / 2)[:, None]
            cross = None if relaxation.cross is None else relaxation.cross[:, None]
            behind.append(mean * slope + across(cross, mean))
    return found


def from_images(network: Matrices, stage: int, boxes: Boxes, images: dict[int, Interval]) -> Interval:
    """What the values of the layers before allow: closer than lines where a curve is far from being straight."""
    centre, radius = network.constants[stage].expand(len(boxes), -1), torch.zeros((), dtype=torch.float64)
    for source, matrix in network.parts[stage].items():
        low, high = (boxes.lower, boxes.upper) if source == 0 else images[source]
        centre = torch.addmm(centre, (low + high) / 2, matrix.T)
        radius = radius + ((high - low) / 2) @ network.absolute[stage][source].T
    if all(isinstance(curve, PiecewiseLinear) for curve in network.curves):
        return centre - radius, centre + radius
    return (centre - radius).nan_to_num(-torch.inf), (centre + radius).nan_to_num(torch.inf)


def _affine(network: Matrices, stage: int, pairs: list[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    mean: Tensor | None = None
    half: Tensor | None = None
    for source, matrix in network.parts[stage].items():
        one, other = pairs[source]
        part = one @ matrix.T
        mean = part if mean is None else mean + part
        if other is not None:
            spread = other @ network.absolute[stage][source].T
            half = spread if half is None else half + spread
    if mean is None:
        mean = pairs[0][0].new_zeros(*pairs[0][0].shape[:2], network.constants[stage].shape[0])
    mean[:, -1] += network.constants[stage]
    return mean, half


def _through(relaxation: Relaxation, lower_line: Tensor, upper_line: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """The lines behind an activation: the relaxation's lines of the lines before it, as their slopes say."""
    slopes = relaxation.upper_slope[:, None], relaxation.lower_slope[:, None]
    if relaxation.cross is not None:
        mean, half = (upper_line + lower_line) / 2, (upper_line - lower_line) / 2
        high = slopes[0] * mean + across(relaxation.cross[:, None], mean)
        spread = slopes[0].abs() * half + across(relaxation.cross.abs()[:, None], half)
        high, low = high + spread, high - spread
    elif (relaxation.span is not None and relaxation.span[0] >= 0) or (relaxation.span is None and _rising(relaxation)):
        high, low = upper_line * slopes[0], lower_line * slopes[1]
    else:
        high = torch.where(slopes[0] >= 0, upper_line, lower_line) * slopes[0]
        low = torch.where(slopes[1] >= 0, lower_line, upper_line) * slopes[1]
    high[:, inputs] += relaxation.upper_offset
    if relaxation.lower_offset is not None:
        low[:, inputs] += relaxation.lower_offset
    return (high + low) / 2, (high - low) / 2


def _rising(relaxation: Relaxation) -> bool:
    return bool((relaxation.upper_slope >= 0).all() and (relaxation.lower_slope >= 0).all())
