"""Mixed-integer programs around the best points of an image that nearly fell, in boxes as large as can be solved."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adrgd.attacks.ensemble.lanes import Lanes
from adrgd.attacks.ensemble.polish import CLOSE, Ahead, starts
from adrgd.attacks.ensemble.reheating import Points
from adrgd.attacks.refutable import ball, network_of
from adrgd.bounds.backward import Boxes
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import Network
from adrgd.bounds.refine import all_intervals
from adrgd.devices import made_on
from adrgd.polytopes import expressions, hinged, optimum

SHARES = (0.125, 0.25, 0.5)  # of the radius: how far each box reaches
MOST = 150  # undecided hinges of a program
NODES = 50  # of the branch and bound of a program
PIVOT = 15  # passes that a simplex iteration takes
NEURON = 2  # passes for the bounds of a neuron


def programs(lanes: Lanes, points: dict[int, Points], passes: int) -> None:
    """Solve programs around the nearest points of each standing image, as long as less than `passes` are spent on them.

    A program that has begun is finished, as far as its nodes go.
    """
    case = lanes.case
    near = (~lanes.best.reached & (lanes.margin >= -CLOSE * lanes.size)).nonzero()[:, 0]
    if not len(near) or case.threat.norm != "linf" or case.judge or not isinstance(case.model, nn.Module):
        return
    try:
        network = network_of(case.model, case.clean[0])
    except NoBoundsError:
        return
    if not hinged(network):
        return
    for image in near:
        left = passes // PIVOT
        for start in starts(lanes, image[None], points):
            if left <= 0 or lanes.best.reached[image]:
                break
            with made_on("cpu"):
                x, pivots = _solved(lanes, network, image[None], start, left)
            left -= pivots
            lanes.best.backwards[image] += PIVOT * pivots
            clean = case.clean[image][None]
            inside = case.around(image[None]).bind(clean).project(x.to(clean).view_as(clean))
            lanes.keep(image[None], inside, image.new_full((1,), lanes.iterations))


def _solved(lanes: Lanes, network: Network, image: Tensor, start: Tensor, pivots: int) -> tuple[Tensor, int]:
    """From a point (1, ...), the best one (n,) that programs lead to, and what they took, in simplex iterations."""
    ahead = Ahead(lanes, image, start)
    goal = torch.zeros(network.outputs, dtype=torch.float64)
    goal[int(ahead.target)], goal[int(lanes.case.labels[image])] = 1.0, -1.0
    low, high = ball(lanes.case.threat, lanes.case.clean[image][0])
    x = start.detach().cpu().double().flatten().clamp(low, high)
    spent, k, bounds = 0, 0, NEURON * sum(network.sizes) // PIVOT
    while k < len(SHARES) and spent < pivots:
        reach = SHARES[k] * lanes.case.threat.eps
        left, right = torch.maximum(low, x - reach), torch.minimum(high, x + reach)
        program = expressions(
            network, goal, left, right, all_intervals(network, network.single(), Boxes(left[None], right[None]))
        )
        spent += bounds
        if len(program.least) > MOST:
            break
        before = float(_value(network, x) @ goal)
        found = optimum(program, x, nodes=NODES, enough=4 * ahead.rounding)
        spent, k = spent + found.pivots, k + 1
        if found.x is not None and float(_value(network, found.x) @ goal) > before + 1e-6:
            x, k = found.x, 0
            if ahead.is_clear(float(_value(network, x) @ goal)):
                break
    return x, spent


def _value(network: Network, x: Tensor) -> Tensor:
    with torch.no_grad():
        return network.walk(x[None], lambda layer, h: network.curves[layer].value(h))[0]
