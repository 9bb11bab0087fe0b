"""Runs towards given classes, and reheating: points are shaken and raised again, and what came out better stays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.attacks.ensemble.lanes import Lanes
from adrgd.domain import BoundBox
from adrgd.objective import Score
from adrgd.rows import column, take
from adrgd.solvers import GraduatedADR, GraduatedGates, Steepest

COPIES = 8  # of each point that is reheated
KEPT = 24  # points of an image that later searches begin with
ALIKE = 1e-3  # of the largest value: points nearer than this in value count as one
NOISE = 0.4  # the most that reheated points are shaken by, in radii
REDRAWN = 0.6  # of a point's numbers that are drawn anew, at most
STEPS = 80  # iterations of a reheating

REHEAT = GraduatedADR(
    gates=GraduatedGates(spread=(0.05, 0.6), spread_first=True, probe_every=3),
    step=Steepest(length=0.3, schedule="power"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Points:
    """Some points for each of n images, the same number k for all.

    Attributes:
        image: (n,) positions in the batch.
        target: (n, k) the class each point is to become.
        x: (n, k, ...) where they are.
        value: (n, k) by how much the target is ahead there.
    """

    image: Tensor
    target: Tensor
    x: Tensor
    value: Tensor


def elite(points: Points, others: Points | None) -> Points:
    """The best of one image's points and of others of the same image: at most `KEPT`, of which no two are alike.

    Points whose values are as good as equal are taken for the same maximum, met from several sides.
    """
    if others is not None:
        parts = [torch.cat([getattr(part, name) for part in (points, others)], 1) for name in ("target", "x", "value")]
        points = Points(points.image, *parts)
    value = points.value[0]
    kept: list[int] = []
    for row in value.argsort(descending=True).tolist():
        if len(kept) < KEPT and (not kept or value[kept[-1]] - value[row] > ALIKE * value.abs().max()):
            kept.append(row)
    return Points(points.image, points.target[:, kept], points.x[:, kept], points.value[:, kept])


def reheated(lanes: Lanes, points: Points) -> Points | None:
    """The best points shaken and raised again; what came out better takes its source's place."""
    count = points.value.shape[1]
    elite = points.value.topk(-(-count // COPIES), dim=1).indices.repeat_interleave(COPIES, 1)[:, :count]
    x = points.x[torch.arange(len(elite), device=elite.device)[:, None], elite]
    old = Points(points.image, points.target.gather(1, elite), x, points.value.gather(1, elite))
    return towards(lanes, old.image, old.target, REHEAT, STEPS, old)


def towards(
    lanes: Lanes, image: Tensor, target: Tensor, solver: GraduatedADR, steps: int, old: Points | None = None
) -> Points | None:
    """Raise points towards their targets (n, k): new ones, or old ones that are shaken first.

    Returns:
        The points of the images that still stand; None if none does, or if the budget is spent.
    """
    case, (n, k) = lanes.case, target.shape
    x = case.clean[image][:, None].expand(n, k, *case.clean.shape[1:]) if old is None else _shaken(lanes, old)
    owner, goals = image.repeat_interleave(k), target.flatten()
    found = lanes.run(image, x, lambda rows: Towards(case, owner[rows], goals[rows]), solver, steps)
    if found is None:
        return None
    points, value = found
    if old is not None:
        keep = value > old.value
        points = torch.where(keep.view(n, k, *[1] * (x.dim() - 2)), points, old.x)
        value = torch.where(keep, value, old.value)
    stands = lanes.worth(image).nonzero()[:, 0]
    return take(Points(image, target, points, value), stands) if len(stands) else None


def _shaken(lanes: Lanes, points: Points) -> Tensor:
    """Every other point moved by noise; in a box the rest with some of its numbers drawn anew, elsewhere moved as well.

    Two maxima of an image may differ in many pixels by all that these can change: noise leads from none to another.
    """
    k = points.value.shape[1]
    x, random = points.x.flatten(0, 1), lanes.random(points.image, k)
    bound = lanes.case.around(points.image.repeat_interleave(k)).bind(x)
    size = NOISE * random.uniform((), "shake", dtype=x.dtype)
    noise = random.normal(tuple(x.shape[1:]), "shake direction", dtype=x.dtype)
    moved = x + column(size, x) * noise * bound.scale
    if isinstance(bound, BoundBox):
        share = REDRAWN * random.uniform((), "share", dtype=x.dtype)
        hit = random.uniform(tuple(x.shape[1:]), "redrawn", dtype=x.dtype) < column(share, x)
        other = torch.arange(len(x), device=x.device) % 2 == 1
        moved = torch.where(column(other, x), torch.where(hit, bound.sample(random), x), moved)
    return moved.view(points.x.shape)


@dataclass(frozen=True)
class Towards:
    """By how much the target's logit is ahead of the label's; in a targeted attack, of the largest other.

    Attributes:
        image: (N,) each row's position in the batch.
        target: (N,) the class it is to become; any class that the attack is after will do.
    """

    case: Case
    image: Tensor
    target: Tensor

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        case, image, target = self.case, self.image[rows], self.target[rows]
        logits = case.answer(x, image)
        return Score(case.ahead(logits, image, target), case.clearly_broken(logits, image))
