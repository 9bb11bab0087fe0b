"""The last of what an ensemble does for an image that nearly fell: a walk over the polytopes around its best point."""

from __future__ import annotations

from torch import Tensor

from adrgd.attacks.case import ROUNDING
from adrgd.attacks.ensemble.lanes import Lanes
from adrgd.domain import BoundBox
from adrgd.gates import Picked
from adrgd.polytopes import Pieces, hinges, walk

CLOSE = 0.1  # of an image's size of margin: how near it must have come


def polish(lanes: Lanes, passes: int) -> None:
    """Walk from the nearest point of each standing image, where the network is piecewise linear and the ball a box."""
    case = lanes.case
    near = ~lanes.best.reached & (lanes.margin >= -CLOSE * lanes.size)
    picked: Picked | None = None
    for image in near.nonzero():
        x, bound = lanes.nearest[image], case.around(image).bind(lanes.nearest[image])
        if not isinstance(bound, BoundBox):
            return
        ahead = Ahead(lanes, image)
        picked = picked or hinges(ahead, x)
        if picked is None:
            return
        pieces = Pieces(ahead, picked, passes - 2)
        found = walk(pieces, x, bound.low, bound.high, ahead.is_clear)
        lanes.best.forwards[image] += pieces.forwards
        lanes.best.backwards[image] += pieces.backwards
        lanes.keep(image, found.x, image.new_full((1,), lanes.iterations))


class Ahead:
    """By how much the class that an image came nearest to is ahead of its label: linear in the logits."""

    def __init__(self, lanes: Lanes, image: Tensor) -> None:
        self.case, self.image = lanes.case, image
        logits = lanes.logits_at(image, lanes.nearest[image])
        self.rounding = ROUNDING * float(logits.abs().amax())
        others = logits.scatter(1, self.case.labels[image, None], -float("inf"))
        self.target = others.argmax(1) if self.case.target is None else self.case.target[image]

    def __call__(self, x: Tensor) -> Tensor:
        count = len(x)
        image = self.image.expand(count)
        return self.case.ahead(self.case.answer(x, image), image, self.target.expand(count))

    def is_clear(self, value: float) -> bool:
        """Whether the image is broken by more than rounding."""
        return value > 2 * self.rounding
