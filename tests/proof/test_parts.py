"""Parts of a claim: their bounds are the best of a linear program, and never fall when they are split."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adrgd.bounds.backward import Boxes, Goal, goal
from adrgd.bounds.lines import Interval
from adrgd.bounds.multipliers import optimise
from adrgd.bounds.network import Matrices, values_of
from adrgd.bounds.reading import read_network
from adrgd.bounds.reduced import reduced
from adrgd.bounds.refine import all_intervals
from adrgd.proof.claims import Claims
from adrgd.proof.middle import Middle
from adrgd.proof.neuron_split import NeuronSplit
from adrgd.proof.parts import Lines, Part, multipliers_of, signs_of

linprog = pytest.importorskip("scipy.optimize").linprog
INPUTS = 4


def tiny(seed: int, inputs: int = INPUTS) -> tuple[Matrices, Boxes, list[Interval]]:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(inputs, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1))
    for parameter in net.parameters():
        parameter.data *= 1.5
    network = read_network(net.double().requires_grad_(False), torch.zeros(1, inputs))
    assert isinstance(network, Matrices)
    box = Boxes(-torch.ones(1, inputs).double(), torch.ones(1, inputs).double())
    return network, box, all_intervals(network, network, box)


def by_program(network: Matrices, intervals: list[Interval], part: Part) -> float:
    """The least output over the triangles of all neurons, where the signs of a part hold."""
    sizes = (INPUTS, *network.sizes)
    start = np.cumsum([0, *sizes])
    rows: list[np.ndarray] = []
    limits: list[float] = []
    signs = {(layer, neuron): side for layer, neuron, side in part.splits}

    def pre(stage: int, neuron: int) -> tuple[np.ndarray, float]:
        row = np.zeros(start[-1])
        for source, matrix in network.parts[stage].items():
            row[start[source] : start[source + 1]] += matrix[neuron].numpy()
        return row, float(network.constants[stage][neuron])

    for layer, (low, high) in enumerate(intervals):
        for neuron in range(network.sizes[layer]):
            (h, constant), z = pre(layer, neuron), np.zeros(start[-1])
            z[start[layer + 1] + neuron] = 1.0
            least, most = float(low[0, neuron]), float(high[0, neuron])
            side = signs.get((layer, neuron), -1 if least >= 0 else 1 if most <= 0 else 0)
            if side < 0:  # z = h and h >= 0
                rows += [z - h, h - z, -h]
                limits += [constant, -constant, constant]
            elif side > 0:
                rows += [z, -z, h]
                limits += [0.0, 0.0, -constant]
            else:
                slope = most / (most - least)
                rows += [-z, h - z, z - slope * h]
                limits += [0.0, -constant, slope * (constant - least)]
    objective, constant = pre(len(network.sizes), 0)
    bounds = [(-1.0, 1.0)] * INPUTS + [(None, None)] * (start[-1] - INPUTS)
    found = linprog(objective, np.array(rows), np.array(limits), bounds=bounds)
    return float(found.fun + constant) if found.status == 0 else math.inf


@pytest.mark.parametrize("splits", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_slopes_and_multipliers_reach_the_linear_program(seed: int, splits: int) -> None:
    network, box, intervals = tiny(seed)
    bent = [(k, int(at)) for k, (low, high) in enumerate(intervals) for at in ((low < 0) & (high > 0))[0].nonzero()]
    signs = tuple((*bent[(5 * n) % len(bent)], 1 - 2 * (n % 2)) for n in range(splits))
    part = Part(0, signs, 1.0)
    exact = by_program(network, intervals, part)
    known = signs_of([part])
    relaxations = Lines(network.curves, intervals).of(torch.tensor([0]), known, torch.float64)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    wanted: Goal = goal(network, 2, one, torch.zeros(1, 1, dtype=torch.float64))
    chosen = multipliers_of([None], known, relaxations, 1)
    enough = torch.full((1, 1), torch.inf, dtype=torch.float64)
    linear, _ = optimise(network, wanted, relaxations, box, chosen, None, steps=400, enough=enough)
    if math.isinf(exact):  # nothing is there
        return
    assert float(linear.value) <= exact + 1e-7
    assert float(linear.value) >= exact - 0.01 * (1 + abs(exact))


def claim_of(offset: Tensor, box: Boxes) -> Claims:
    ones = torch.ones(1, 1, 1, dtype=torch.float64)
    return Claims(box, ones, None, offset.view(1, 1), torch.ones(1, 1, dtype=torch.bool))


@pytest.mark.parametrize("seed", range(3))
def test_bounds_never_fall_when_parts_are_split(seed: int) -> None:
    network, box, _ = tiny(seed, 16)
    seen: list[float] = []
    proof = NeuronSplit(
        network, claim_of(torch.tensor(-5.0, dtype=torch.float64), box), lambda x: False,
        watch=lambda claim, x, bound: None,
    )  # fmt: skip
    for nodes in range(3, 40, 4):
        if not proof.outcome.ended and proof.waiting:
            proof.run(math.inf, nodes)
            seen.append(min([node.bound for node in proof.waiting] + [proof.left_over]))
            assert all(node.start is None or node.bound > -math.inf for node in proof.waiting)
    assert len(seen) > 3
    assert seen == sorted(seen)


def test_a_box_where_no_neuron_bends() -> None:
    """The function is linear there, and its least value is known: verdicts on either side of it."""
    network, _, _ = tiny(0, 16)
    box = Boxes(torch.full((1, 16), 0.3).double(), torch.full((1, 16), 0.3 + 1e-6).double())
    corners = box.lower + 1e-6 * torch.eye(16).double()
    slope = (values_of(network, corners) - values_of(network, box.lower))[:, 0]
    least = values_of(network, box.lower)[0, 0] + slope.clamp(max=0).sum()
    for shift, proven in ((1e-8, True), (-1e-8, False)):
        found = NeuronSplit(network, claim_of(shift - least, box), lambda x: True).run(time.monotonic() + 5)
        assert (found.proven, found.found) == (proven, not proven)
    outcome = NeuronSplit(network, claim_of(-1e-8 - least, box), lambda x: False).run(time.monotonic() + 5)
    assert outcome.stuck


@pytest.mark.parametrize("still", [(0,), (1,), (0, 1), (0, 2), (1, 2)])
def test_layers_in_which_no_neuron_bends(still: tuple[int, ...]) -> None:
    """Nothing is left of them over the box, and the bounds of the others hold."""
    torch.manual_seed(3)
    sizes = [8, *(40 if layer in still else 20 for layer in range(3)), 1]
    linear = [nn.Linear(*pair) for pair in pairwise(sizes)]
    z = torch.zeros(8)
    for layer in range(3):  # in the others every neuron bends in the middle
        h = linear[layer].weight.data @ z
        linear[layer].bias.data = -h if layer not in still else torch.full_like(h, 100.0)
        z = (h + linear[layer].bias.data).relu()
    net = nn.Sequential(*(part for one in linear for part in (one, nn.ReLU())))[:-1].double().requires_grad_(False)
    network = read_network(net, torch.zeros(1, 8), entries=0)
    box = Boxes(-0.1 * torch.ones(1, 8).double(), 0.1 * torch.ones(1, 8).double())
    found = reduced(network, box, all_intervals(network, network, box))
    assert found is not None
    assert [size == 0 for size in found.network.sizes] == [layer in still for layer in range(3)]
    middle = Middle(found.network, found.boxes(box), found.intervals)
    for _ in range(2):
        list(middle.turn(0.2))
    points = box.lower + torch.rand(500, 8).double() * (box.upper - box.lower)
    h = points
    for layer in range(3):
        h = linear[layer].double()(h)
        if layer not in still:
            low, high = middle.intervals[layer]
            bent = found.bent[layer]
            assert (h[:, bent] >= low - 1e-6).all()
            assert (h[:, bent] <= high + 1e-6).all()
        h = h.relu()
