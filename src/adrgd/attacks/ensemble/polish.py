"""The last of what an ensemble does for an image that nearly fell: walks over the polytopes around its best points."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from adrgd.attacks.case import ROUNDING
from adrgd.attacks.ensemble.lanes import Lanes
from adrgd.attacks.ensemble.reheating import Points
from adrgd.domain import BoundBox
from adrgd.gates import Picked
from adrgd.polytopes import Pieces, hinges, walk

CLOSE = 0.1  # of an image's size of margin: how near it must have come
LEAST = 200  # passes that are worth a walk


def polish(lanes: Lanes, points: dict[int, Points], passes: int) -> None:
    """Walk from the nearest points of each standing image, where the network is piecewise linear and the ball a box."""
    near = ~lanes.best.reached & (lanes.margin >= -CLOSE * lanes.size)
    picked: Picked | None = None
    for image in near.nonzero():
        bound, left = lanes.case.around(image).bind(lanes.nearest[image]), passes
        if not isinstance(bound, BoundBox):
            return
        for start in starts(lanes, image, points):
            if left < LEAST or lanes.best.reached[image]:
                break
            ahead = Ahead(lanes, image, start)
            picked = picked or hinges(ahead, start)
            if picked is None:
                return
            pieces = Pieces(ahead, picked, left - 2)
            found = walk(pieces, start, bound.low, bound.high, ahead.is_clear)
            left -= pieces.forwards + pieces.backwards + 2
            lanes.best.forwards[image] += pieces.forwards
            lanes.best.backwards[image] += pieces.backwards
            lanes.keep(image, found.x, image.new_full((1,), lanes.iterations))


def starts(lanes: Lanes, image: Tensor, points: dict[int, Points]) -> Iterator[Tensor]:
    """The nearest point (1, ...) of an image (1,), then others that came near, each of another run."""
    yield lanes.nearest[image]
    if (others := points.get(int(image))) is not None:
        for row in others.value[0].argsort(descending=True):
            yield others.x[:, row]


class Ahead:
    """By how much the class that a point (1, ...) came nearest to is ahead of the label: linear in the logits."""

    def __init__(self, lanes: Lanes, image: Tensor, x: Tensor) -> None:
        self.case, self.image = lanes.case, image
        logits = lanes.logits_at(image, x)
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
