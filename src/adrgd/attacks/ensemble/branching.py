"""Starts from a branch and bound over the ball, for images that nearly fell; those that it refutes are certified.

Parts of the ball, told from each other by the signs of some neurons, are bounded, the most promising first (as
BaB-Attack does, Zhang et al. 2022); those that cannot hold an adversarial input are never entered. Where the bounds of
the others are lowest is where points start that are raised and reheated. Where nothing is left, there is a proof.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from adrgd.attacks.ensemble.lanes import Lanes
from adrgd.attacks.ensemble.lanes import passes as passes_of
from adrgd.attacks.ensemble.reheating import COPIES, REHEAT, STEPS, Points, reheated, towards
from adrgd.attacks.refutable import claims_of, network_of
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import Network
from adrgd.devices import made_on
from adrgd.proof.neuron_split import NeuronSplit

CLOSE = 0.15  # of an image's size of margin: how near it must have come
NEAREST = 2  # classes whose parts are looked at first
NODE = 50  # passes that bounding a part takes
NEURON = 2  # passes for the bounds of a neuron
PARTS = 0.6  # of the passes for the parts
BATCH = 32  # parts that are bounded at once, at most
STARTS = 96  # points of an image, at most
ROUNDS = 4  # of reheating for which their number leaves room


def branch(lanes: Lanes, passes: int) -> None:
    """Spend `passes` on each standing image that came near, where bounds of the network are known and affordable."""
    case = lanes.case
    near = (~lanes.best.reached & (lanes.margin >= -CLOSE * lanes.size)).nonzero()[:, 0]
    before = lanes.budget
    lanes.budget += passes
    random, several = case.judge is not None, getattr(case.model, "furthest", None) is not None
    if not len(near) or case.threat.norm != "linf" or random or several or not isinstance(case.model, nn.Module):
        return
    try:
        network = network_of(case.model, case.clean[0])
    except NoBoundsError:
        return
    nodes = int((PARTS * passes - NEURON * sum(network.sizes)) / NODE) - BATCH
    if nodes < COPIES:
        return
    lanes.best.certified = torch.zeros_like(lanes.best.reached)
    # all count as having spent the same, so that the runs of one do not depend on the others of its batch
    lanes.best.forwards[near] = before + int(PARTS * passes) - lanes.best.backwards[near]
    parts = {int(image): _parts(lanes, network, int(image), nodes) for image in near}
    left = torch.tensor([image for image, found in parts.items() if found is not None], device=near.device)
    if not len(left):
        return
    some = [found for found in parts.values() if found is not None]
    most = min(STARTS, max(2 * COPIES, lanes.at_once))
    count = COPIES * max(1, int(min(most, (1 - PARTS) * passes / (passes_of(REHEAT) * STEPS * ROUNDS)) / COPIES))
    points = _starts(lanes, left, [x for x, _ in some], [target for _, target in some], count)
    raised = towards(lanes, left, points.target, REHEAT, STEPS, points)
    while raised is not None:
        raised = reheated(lanes, raised)


def _parts(lanes: Lanes, network: Network, image: int, nodes: int) -> tuple[Tensor, Tensor] | None:
    """Where bounds are lowest: points (M, ...) and the classes (M,) they are to become; None if there are none."""
    case = lanes.case
    clean, label = case.clean[image], int(case.labels[image])
    target = None if case.target is None else int(case.target[image])
    with torch.no_grad():
        logits = case.model(lanes.nearest[image][None])[0]
    order = [k for k in logits.argsort(descending=True).tolist() if k != label]
    spent, proven = 0, False
    found: list[tuple[Tensor, Tensor]] = []
    for among in [order[:NEAREST], order[NEAREST:]] if target is None else [[target]]:
        if not among:
            continue
        names = torch.tensor(among)

        def watch(claim: Tensor, x: Tensor, bound: Tensor, names: Tensor = names) -> None:
            found.append((x.to(clean), names[claim]))

        claims = claims_of(network.outputs, case.threat, clean, label, target, among)
        split = NeuronSplit(network, claims, lambda x: False, watch=watch)
        split.batch = min(split.batch, BATCH)
        with made_on("cpu"):
            split.run(math.inf, nodes - spent)
        spent += split.outcome.nodes
        proven = split.outcome.proven
        if not proven:
            break
    if lanes.best.certified is not None:
        lanes.best.certified[image] = proven
    if proven or not found:
        return None
    x, goal = (torch.cat(part) for part in zip(*found, strict=True))
    return x.view(-1, *clean.shape), goal.to(case.labels)


def _starts(lanes: Lanes, images: Tensor, x: list[Tensor], target: list[Tensor], count: int) -> Points:
    """Of each image's points the `count` with the largest values."""
    case = lanes.case
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for image, points, goal in zip(images, x, target, strict=True):
        rows = image.expand(len(points))
        inside = case.around(rows).bind(case.clean[rows]).project(points)
        with torch.no_grad():
            value = case.ahead(case.model(inside), rows, goal)
        best = value.argsort(descending=True)[torch.arange(count, device=value.device) % len(value)]
        kept.append((goal[best], inside[best], value[best]))
    goals, inside, values = (torch.stack(part) for part in zip(*kept, strict=True))
    return Points(images, goals, inside, values)
