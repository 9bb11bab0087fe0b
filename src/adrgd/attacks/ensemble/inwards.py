"""From outside the ball inwards: where no run inside has broken an image, the smallest change that does is looked for.

In l1 runs inside a ball end on its rim with changes in other numbers than those of the shortest one. A search whose
radius follows what it finds (`adrgd.attacks.smallest`) comes from the other side. In l2 it found nothing more.
"""

from __future__ import annotations

from dataclasses import replace

from adrgd.attacks.ensemble.lanes import Lanes
from adrgd.attacks.smallest.shrinking import least_passes, search
from adrgd.solvers import GraduatedADR

SHARE = 0.6  # of the budget
STEPS = 25  # of each run in a ball
CLOSE = 0.25  # of an image's size of margin: how near it must have come


def inwards(lanes: Lanes, budget: int) -> None:
    """Look for the smallest changes of the images that stand and came near, and keep those that fit into the ball.

    Args:
        budget: passes of an image, those that were spent before among them.
    """
    case, left = lanes.case, budget - lanes.best.forwards - lanes.best.backwards - 1
    near = ~lanes.best.reached & (lanes.margin >= -CLOSE * lanes.size) & (left >= least_passes(STEPS))
    image = near.nonzero()[:, 0]
    if not len(image):
        return
    part = replace(
        case, clean=case.clean[image], labels=case.labels[image], index=case.index[image], logits=case.logits[image],
        target=None if case.target is None else case.target[image],
        lead=None if case.lead is None else case.lead[image],
    )  # fmt: skip
    found = search(
        part, solver=GraduatedADR(), steps=STEPS, passes=left[image], seed=lanes.seed, enough=case.threat.eps
    )  # fmt: skip
    lanes.best.forwards[image] += found.forwards
    lanes.best.backwards[image] += found.backwards
    inside = case.around(image).bind(part.clean).project(found.x)
    lanes.keep(image, inside, image.new_full((len(image),), lanes.iterations))
