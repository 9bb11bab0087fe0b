"""Boxes that are cut and halved, and the rounding that their bounds allow for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adrgd.bounds.backward import Boxes, LinearBound, backward, goal
from adrgd.bounds.boxes import blame, cut, halve, losses
from adrgd.bounds.lines import forward
from adrgd.bounds.network import Network, values_of
from adrgd.bounds.relaxation import relax
from adrgd.bounds.rounding import rounding_slack
from adrgd.exact import Mlp

from .test_sound import boxes_of, network_of, points_of


def plain_bound(boxes: Boxes) -> tuple[Network, LinearBound, Tensor]:
    """A network, a linear lower bound of its first output, and the blame of each input."""
    network = network_of(nn.ReLU(), 2)
    slack = rounding_slack(network, boxes.lower.amin(0), boxes.upper.amax(0))
    found = forward(network, boxes, slack)
    relaxations = [relax(*part) for part in zip(network.curves, *zip(*found.intervals, strict=True), strict=True)]
    rows = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(len(boxes), 1, 2)
    wanted = goal(network, 3, rows, torch.zeros(len(boxes), 1, dtype=torch.float64))
    linear, coefficients = backward(network, wanted, relaxations, boxes)
    return network, linear, blame(losses(coefficients, relaxations), found.shares, boxes)


def test_cut_keeps_every_point_that_can_be_at_or_below_zero() -> None:
    boxes = boxes_of(0.4)
    points = points_of(boxes)
    network, linear, _ = plain_bound(boxes)
    values = values_of(network, points.flatten(0, 1)).view(len(boxes), -1, 2)[:, :, 0]
    shift = float(values.quantile(0.2))
    moved = LinearBound(linear.value - shift - 1e-9, linear.slope, linear.offset - shift - 1e-9)
    counts = torch.ones(len(boxes), 1, dtype=torch.bool)
    smaller, left = cut(boxes, moved, counts)
    inside = ((points >= smaller.lower[:, None]) & (points <= smaller.upper[:, None])).all(2)
    assert inside[left][values[left] <= shift].all()
    assert (values[~left] > shift).all()
    assert (~inside).any()
    untouched, all_left = cut(boxes, moved, ~counts)
    assert all_left.all()
    assert torch.equal(untouched.lower, boxes.lower)


def test_nothing_is_to_blame_where_nothing_bends() -> None:
    assert (plain_bound(boxes_of(0.5))[2].amax(1) > 0).any()
    assert (plain_bound(boxes_of(1e-9))[2] == 0).double().mean() > 0.9


def test_halves_cover_their_box() -> None:
    boxes = boxes_of(1.0)
    boxes.lower[0] = boxes.upper[0]
    scores = torch.rand(20, 3, dtype=torch.float64)
    scores[1] = 0
    children, split = halve(boxes, scores)
    assert split.tolist() == [False] + [True] * 19
    one, other = (children.lower[:19], children.upper[:19]), (children.lower[19:], children.upper[19:])
    assert torch.equal(one[0], boxes.lower[1:])
    assert torch.equal(other[1], boxes.upper[1:])
    changed = one[1] != boxes.upper[1:]
    assert (changed.sum(1) == 1).all()
    assert torch.equal(changed, other[0] != boxes.lower[1:])
    assert torch.equal(one[1][changed], other[0][changed])
    assert int(changed[0].int().argmax()) == int((boxes.upper - boxes.lower)[1].argmax())


def test_rounding_slack_is_small_and_covers_float64_noise() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, dtype=torch.float64, generator=generator) - 1

    mlp = Mlp.from_layers([(draw(40, 6), draw(40)), (draw(40, 40), draw(40)), (draw(1, 40), draw(1))])
    one = torch.ones(6, dtype=torch.float64)
    slack = float(rounding_slack(mlp.network(), -one, one)[-1])
    assert 0 < slack < 1e-9
    points = draw(2000, 6)
    backwards = Mlp((mlp.weights[0].flip(1), *mlp.weights[1:]), mlp.biases)
    assert (mlp(points) - backwards(points.flip(1))).abs().max() < slack
