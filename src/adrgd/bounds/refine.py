"""Better bounds of the neurons that bend, layer by layer, each by linear functions followed back to the input."""

from __future__ import annotations

import time
from collections.abc import Generator

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Goal, LinearBound, backward, both_sides
from adrgd.bounds.lines import Interval, from_images
from adrgd.bounds.margins import Margins
from adrgd.bounds.multipliers import Multipliers, optimise
from adrgd.bounds.network import Matrices, Network
from adrgd.bounds.products import Tables, second_layer
from adrgd.bounds.ranges import affine_range
from adrgd.bounds.relaxation import Relaxation, image, relax
from adrgd.bounds.slopes import free_slopes

ROWS = (8, 64, 256)  # neurons that are bounded at once: more, as long as that is quick
QUICK = 0.3  # seconds


def refine(
    network: Matrices, boxes: Boxes, intervals: list[Interval] | None, slack: tuple[Tensor, ...],
    known: Tables | None = None,
) -> tuple[list[Interval], list[Relaxation]]:  # fmt: skip
    """Tighten known intervals of all layers; only neurons that still bend are looked at.

    Args:
        intervals: unless given, those that follow from the bounds of the layers before.
        known: `tables` of the network, where it has any.
    """
    found: list[Interval] = []
    relaxations: list[Relaxation] = []
    images: dict[int, Interval] = {}
    for layer, curve in enumerate(network.curves):
        if intervals is not None:
            lower, upper = intervals[layer]
        else:
            low, high = from_images(network, layer, boxes, images)
            lower, upper = low - slack[layer], high + slack[layer]
        if layer == 1 and known is not None:
            least, largest = second_layer(network, known, relaxations[0], boxes)
            lower, upper = torch.maximum(lower, least - slack[1]), torch.minimum(upper, largest + slack[1])
            upper = torch.maximum(lower, upper)
        relaxation = relax(curve, lower, upper)
        most = int(relaxation.bent.sum(1).max()) if layer and (layer > 1 or known is None) else 0
        if most:
            chosen = relaxation.bent.to(torch.uint8).topk(most, 1, sorted=False).indices
            linear, _ = backward(network, both_sides(network, layer, chosen), relaxations, boxes)
            least = linear.value - slack[layer][chosen].repeat(1, 2)
            lower = lower.scatter(1, chosen, torch.maximum(lower.gather(1, chosen), least[:, :most]))
            upper = upper.scatter(1, chosen, torch.minimum(upper.gather(1, chosen), -least[:, most:]))
            relaxation = relax(curve, lower, torch.maximum(lower, upper))
        found.append((relaxation.lower, relaxation.upper))
        relaxations.append(relaxation)
        if intervals is None:
            images[layer + 1] = image(curve, relaxation.lower, relaxation.upper)
    return found, relaxations


def intervals_of(
    network: Network, quick: Network, box: Boxes, *, steps: int = 0, known: list[Interval] | None = None
) -> Generator[None, None, list[Interval]]:
    """Bounds of all pre-activations over one box; it pauses after every piece of work.

    Args:
        quick: the same network, in the precision that bounds are followed back in.
        steps: of the slopes of each neuron.
        known: intervals to tighten.
    """
    found: list[Interval] = []
    relaxations: list[Relaxation] = []
    margins, quick_margins = Margins(network, box.lower, box.upper), Margins(quick, box.lower, box.upper)
    size = 0
    for layer, curve in enumerate(network.curves):
        lower, upper = affine_range(network, layer, box, found)
        lower, upper = lower - margins.steps[layer], upper + margins.steps[layer]
        if known is not None:
            lower, upper = torch.maximum(lower, known[layer][0]), torch.minimum(upper, known[layer][1])
        bent = relax(curve, lower, upper).bent[0].nonzero()[:, 0]
        at = 0
        while (layer or box.ball is not None) and at < len(bent):
            began = time.perf_counter()
            chosen = bent[at : at + ROWS[size]]
            at += ROWS[size]
            wanted = both_sides(quick, layer, chosen[None], quick_margins)
            linear = _raised(quick, wanted, relaxations, box, quick_margins, steps)
            least = linear.value[0].nan_to_num(-torch.inf)
            lower[0, chosen] = torch.maximum(lower[0, chosen], least[: len(chosen)])
            upper[0, chosen] = torch.minimum(upper[0, chosen], -least[len(chosen) :])
            if time.perf_counter() - began < QUICK:
                size = min(size + 1, len(ROWS) - 1)
            yield
        upper = torch.maximum(lower, upper)
        found.append((lower, upper))
        relaxations.append(relax(curve, lower, upper).to(quick.dtype))
        margins.extend(found)
        quick_margins.extend(found)
        yield
    return found


def all_intervals(
    network: Network, quick: Network, box: Boxes, *, steps: int = 0, known: list[Interval] | None = None
) -> list[Interval]:
    """What `intervals_of` returns, without its pauses."""
    pieces = intervals_of(network, quick, box, steps=steps, known=known)
    while True:
        try:
            next(pieces)
        except StopIteration as ended:
            found: list[Interval] = ended.value
            return found


def _raised(
    network: Network, wanted: Goal, relaxations: list[Relaxation], box: Boxes, margins: Margins, steps: int
) -> LinearBound:
    if not steps:
        return backward(network, wanted, relaxations, box, margins=margins)[0]
    rows = wanted.offset.shape[1]
    slopes = {layer: slope.repeat(1, rows, 1) for layer, slope in free_slopes(relaxations).items()}
    never = torch.full_like(wanted.offset, torch.inf)
    return optimise(network, wanted, relaxations, box, Multipliers(slopes, {}, {}), margins, steps=steps, enough=never)[
        0
    ]
