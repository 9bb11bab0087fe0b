"""Better bounds of the neurons that bend, layer by layer, each by linear functions followed back to the input."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, backward, both_sides
from adrgd.bounds.lines import Interval
from adrgd.bounds.network import Network
from adrgd.bounds.relaxation import Relaxation, relax


def refine(
    network: Network, boxes: Boxes, intervals: list[Interval], slack: tuple[Tensor, ...]
) -> tuple[list[Interval], list[Relaxation]]:
    """Tighten known intervals of all layers; only neurons that still bend are looked at."""
    found: list[Interval] = []
    relaxations: list[Relaxation] = []
    for layer, (lower, upper) in enumerate(intervals):
        relaxation = relax(network.curves[layer], lower, upper)
        most = int(relaxation.bent.sum(1).max()) if layer else 0
        if most:
            chosen = relaxation.bent.to(torch.uint8).topk(most, 1, sorted=False).indices
            linear, _ = backward(network, both_sides(network, layer, chosen), relaxations, boxes)
            least = linear.value - slack[layer][chosen].repeat(1, 2)
            lower = lower.scatter(1, chosen, torch.maximum(lower.gather(1, chosen), least[:, :most]))
            upper = upper.scatter(1, chosen, torch.minimum(upper.gather(1, chosen), -least[:, most:]))
            upper = torch.maximum(lower, upper)
            relaxation = relax(network.curves[layer], lower, upper)
        found.append((lower, upper))
        relaxations.append(relaxation)
    return found, relaxations
