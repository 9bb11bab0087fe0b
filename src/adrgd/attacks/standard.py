"""The ensemble to run when a model's robustness is to be known: cheap runs first, and only what still stands goes on.

1. Away from the label: one run on the cross-entropy from the clean image, one on the margin from a random point, one on
   the cross-entropy from another.
2. Towards each of the classes whose logits are the largest at the best point so far, on the margin between that class
   and the label.
3. Many runs side by side towards the two classes that came nearest, with noise levels spread over them.
4. Reheating: the best points of each image, copied, shaken and raised again from smaller noise levels; what came out
   better takes its source's place. Again and again, until the budget is spent.
5. With a large budget, where little is missing: a walk over the polytopes around the best point (`adrgd.polytopes`).

After the first two runs an image goes on only if it came near enough to its goal, the nearer, the more is spent on it
(`Lanes.worth`). A targeted attack has one class to go to, and skips the second stage. An image counts as standing until
it is broken by more than rounding, so that what is found holds in other batches, on other devices and in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adrgd.attacks.best import Best
from adrgd.attacks.case import Case
from adrgd.attacks.lanes import Lanes, passes
from adrgd.errors import UsageError
from adrgd.names import STANDARD
from adrgd.objective import Loss, Score, find_loss
from adrgd.rows import column, take
from adrgd.settings import as_integer, as_number, settle
from adrgd.solvers import GraduatedADR, GraduatedGates, Solver, Steepest, make_solver

NAME = STANDARD
LOOK = 60  # iterations towards each other class
LEAST = 50  # passes
CLASSES = 9  # other classes looked at, at most
SHARE = 0.2  # of the budget for looking at them
NEAREST = 2  # of them gone on with
AWAY = 0.1  # of the budget for a run away from the label
MOST = 96  # rows an image
COPIES = 8  # of each point that is reheated
ROUNDS = 4  # of reheating for which the number of rows leaves room
LARGE = 2000  # passes: budgets from which on a part is kept for walks
NOISE = 0.4  # the most that reheated points are shaken by, in radii

FIRST = GraduatedADR()
AGAIN = GraduatedADR(gates=GraduatedGates(sigma0=1.0), random_start=True)
TOWARDS = GraduatedADR(
    gates=GraduatedGates(sigma0=1.0, probe_every=3), step=Steepest(length=1.0, schedule="power"), random_start=True
)
SPREAD = GraduatedADR(
    gates=GraduatedGates(spread=(0.3, 3.0), spread_first=True, probe_every=3),
    step=Steepest(length=0.5, schedule="power"), random_start=True,
)  # fmt: skip
REHEAT = GraduatedADR(
    gates=GraduatedGates(spread=(0.05, 0.6), spread_first=True, probe_every=3),
    step=Steepest(length=0.3, schedule="power"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Standard:
    """An ensemble of graduated runs: labels, targets, many noise levels, reheating, within one budget an image.

    Attributes:
        budget: forward and backward passes an image, together; only the images that nearly fall take all of it.
        walk: the share of a budget of 2000 or more that is kept for a walk over polytopes; 0 for none.
    """

    budget: int = 3000
    walk: float = 0.1

    def __post_init__(self) -> None:
        settle(self, budget=as_integer, walk=as_number)
        if not 0 <= self.walk < 1:
            raise UsageError(f"expected a walk's share of the budget to be at least 0 and below 1, found {self.walk}")
        if self.budget < LEAST:
            raise UsageError(f"expected a budget of at least {LEAST} passes an image, found {self.budget}; raise it")

    def shared(self, cost: int) -> Standard:
        """The same within its budget, for a model of which a pass takes so many of a network inside.

        Raises:
            UsageError: that leaves too little.
        """
        if cost == 1:
            return self
        if self.budget < LEAST * cost:
            raise UsageError(
                f"expected a budget of at least {LEAST} times the {cost} draws that a pass takes, found {self.budget}; "
                f"raise it to {LEAST * cost} or more"
            )
        return replace(self, budget=self.budget // cost, walk=0.0)


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


def find_attacker(name: str) -> Solver | Standard:
    """What a name stands for where whole data sets are attacked: "standard", or a solver of `adrgd.make_solver`.

    Raises:
        UsageError: neither.
    """
    return Standard() if name == NAME else make_solver(name, others=(NAME,))


def run_standard(case: Case, standard: Standard, seed: int, best: Best) -> None:
    """Attack a batch, and leave what was found in `best`."""
    walking = int(standard.walk * standard.budget) if standard.budget >= LARGE else 0
    lanes = Lanes(case, best, budget=standard.budget - walking, seed=seed)
    _away(lanes, best.standing(), FIRST, case.loss)
    _away(lanes, best.standing(), AGAIN, find_loss("margin", targeted=case.target is not None))
    _away(lanes, lanes.standing(), AGAIN, case.loss)
    points = _spread(lanes, *_nearest(lanes))
    while points is not None:
        points = _reheated(lanes, points)
    if walking:
        from adrgd.attacks.polish import polish  # HiGHS is loaded where there is something to walk on

        polish(lanes, walking)


def _away(lanes: Lanes, image: Tensor, solver: GraduatedADR, loss: Loss) -> None:
    """One run an image on a loss of the attack's own goal."""
    case = lanes.case
    steps = int(min(100, max(50, lanes.budget * AWAY / passes(solver))))
    lanes.run(image, case.clean[image][:, None], lambda rows: case.objective(image[rows], loss), solver, steps)


def _nearest(lanes: Lanes) -> tuple[Tensor, Tensor]:
    """The standing images (n,), and the classes (n, up to NEAREST) that they came nearest to."""
    case, image = lanes.case, lanes.standing()
    if case.target is not None:
        return image, case.target[image, None]
    others = lanes.logits(image).scatter(1, case.labels[image, None], -torch.inf)
    affordable = max(NEAREST, int(SHARE * lanes.budget / (LOOK * passes(TOWARDS))))
    target = others.topk(min(CLASSES, affordable, others.shape[1] - 1), dim=1).indices
    if target.shape[1] > NEAREST and (points := _towards(lanes, image, target, TOWARDS, LOOK)) is not None:
        image, target = points.image, points.target.gather(1, points.value.topk(NEAREST, dim=1).indices)
    stands = lanes.worth(image)
    return image[stands], target[stands, :NEAREST]


def _spread(lanes: Lanes, image: Tensor, target: Tensor) -> Points | None:
    """Many runs from random points towards these classes."""
    affordable = lanes.left(image) / passes(SPREAD)
    most = min(MOST, max(2 * COPIES, lanes.at_once))
    count = COPIES * int(min(affordable / (100 + 80 * ROUNDS), most) / COPIES)
    count = count or min(COPIES, max(NEAREST, int(affordable / LOOK)))
    each = -(-count // target.shape[1])
    return _towards(lanes, image, target.repeat_interleave(each, 1)[:, :count], SPREAD, 100)


def _reheated(lanes: Lanes, points: Points) -> Points | None:
    """The best points shaken and raised again; what came out better takes its source's place."""
    count = points.value.shape[1]
    elite = points.value.topk(-(-count // COPIES), dim=1).indices.repeat_interleave(COPIES, 1)[:, :count]
    x = points.x[torch.arange(len(elite), device=elite.device)[:, None], elite]
    old = Points(points.image, points.target.gather(1, elite), x, points.value.gather(1, elite))
    return _towards(lanes, old.image, old.target, REHEAT, 80, old)


def _towards(
    lanes: Lanes, image: Tensor, target: Tensor, solver: GraduatedADR, steps: int, old: Points | None = None
) -> Points | None:
    """Raise points towards their targets (n, k): new ones, or old ones that are shaken first.

    Returns:
        The points of the images that still stand; None if none does, or if the budget is spent.
    """
    case, (n, k) = lanes.case, target.shape
    x = case.clean[image][:, None].expand(n, k, *case.clean.shape[1:]) if old is None else _shaken(lanes, old)
    owner, goals = image.repeat_interleave(k), target.flatten()
    found = lanes.run(image, x, lambda rows: _Towards(case, owner[rows], goals[rows]), solver, steps)
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
    k = points.value.shape[1]
    x, random = points.x.flatten(0, 1), lanes.random(points.image, k)
    scale = lanes.case.around(points.image.repeat_interleave(k)).bind(x).scale
    size = NOISE * random.uniform((), "shake", dtype=x.dtype)
    noise = random.normal(tuple(x.shape[1:]), "shake direction", dtype=x.dtype)
    return (x + column(size, x) * noise * scale).view(points.x.shape)


@dataclass(frozen=True)
class _Towards:
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
        logits = case.model(x)
        return Score(case.ahead(logits, image, target), case.clearly_broken(logits, image))
