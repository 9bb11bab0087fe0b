"""Linear functions over the part of a box that lies in a ball."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, LinearBound
from adrgd.bounds.balls import Ball


def inside(points: Tensor, boxes: Boxes) -> Tensor:
    """Points put into the box, then drawn to the centre as far as the ball asks for."""
    assert boxes.ball is not None
    moved = points.clamp(boxes.lower, boxes.upper) - boxes.ball.centre
    length = moved.norm(dim=1, keepdim=True, p=2 if boxes.ball.norm == "l2" else 1)
    return boxes.ball.centre + moved * (boxes.ball.radius / length).clamp(max=1)


@pytest.mark.parametrize("radius", [0.01, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_no_point_is_below_the_least_and_the_minimiser_attains_it(norm: Literal["l2", "l1"], radius: float) -> None:
    torch.manual_seed(0)
    centre = torch.rand(1, 6, dtype=torch.float64)
    boxes = Boxes((centre - 0.5).clamp(min=0), (centre + 0.4).clamp(max=1), Ball(norm, centre, radius))
    slope, offset = torch.randn(1, 9, 6, dtype=torch.float64), torch.randn(1, 9, dtype=torch.float64)
    slope[0, 0], slope[0, 1, 2:] = 0, 0
    least = boxes.least(slope, offset)
    points = inside(2 * torch.randn(20_000, 6, dtype=torch.float64), boxes)
    assert (points @ slope[0].T + offset >= least - 1e-12).all()
    minimiser = LinearBound(least, slope, offset).vertex(boxes)[0]
    torch.testing.assert_close(minimiser, inside(minimiser, boxes), atol=1e-8, rtol=0)
    assert ((slope[0] * minimiser).sum(1) + offset[0] - least[0] < 0.02 * radius).all()
    assert (least >= Boxes(boxes.lower, boxes.upper).least(slope, offset) - 1e-12).all()
