"""The ensemble to run when a model's robustness is to be known: cheap runs first, and only what still stands goes on.

1. Away from the label: one run on the cross-entropy from the clean image, one on the margin from a random point, one on
   the cross-entropy from another.
2. Towards each of the classes whose logits are the largest at the best point so far, on the margin between that class
   and the label.
3. Many runs side by side towards the two classes that came nearest, with noise levels spread over them.
4. Reheating: the best points of each image, copied, shaken and raised again from smaller noise levels; what came out
   better takes its source's place. Again and again, until the budget is spent; with a large one the third stage and
   this one begin anew from time to time.
5. In l1: the smallest change is looked for, from outside the ball inwards (`adrgd.attacks.ensemble.inwards`).
6. With a large budget, where little is missing: walks over the polytopes around the best points (`adrgd.polytopes`);
   on request flips of neurons, a branch and bound over the ball, whose most promising parts give points that are raised
   and reheated, and mixed-integer programs, each in a file of its own beside this one.

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
from adrgd.attacks.ensemble.inwards import SHARE as INWARDS
from adrgd.attacks.ensemble.inwards import inwards
from adrgd.attacks.ensemble.lanes import Lanes, passes
from adrgd.attacks.ensemble.reheating import COPIES, STEPS, Points, elite, reheated, towards
from adrgd.errors import UsageError
from adrgd.names import STANDARD
from adrgd.objective import Loss, find_loss
from adrgd.rows import take
from adrgd.settings import as_integer, as_number, settle
from adrgd.solvers import GraduatedADR, GraduatedGates, Solver, Steepest, make_solver
from adrgd.solvers.changed import changed
from adrgd.specs import split_spec

NAME = STANDARD
LOOK = 60  # iterations towards each other class
LEAST = 50  # passes
CLASSES = 9  # other classes looked at, at most
SHARE = 0.2  # of the budget for looking at them
NEAREST = 2  # of them gone on with
AWAY = 0.1  # of the budget for a run away from the label
MOST = 96  # rows an image
ROUNDS = 4  # of reheating for which the number of rows leaves room
ENOUGH = 300  # passes: a budget from which on, in l1, a part is kept for coming from outside
POPULATION = 30_000  # passes for runs from random points and their reheating, before others begin anew
LARGE, LARGEST = 2000, 20_000  # passes: budgets from which on a part is kept for walks, and for a branch and bound
SHARES = ("walk", "branch", "flip", "program")

FIRST = GraduatedADR()
AGAIN = GraduatedADR(gates=GraduatedGates(sigma0=1.0), random_start=True)
TOWARDS = GraduatedADR(
    gates=GraduatedGates(sigma0=1.0, probe_every=3), step=Steepest(length=1.0, schedule="power"), random_start=True
)
SPREAD = GraduatedADR(
    gates=GraduatedGates(spread=(0.3, 3.0), spread_first=True, probe_every=3),
    step=Steepest(length=0.5, schedule="power"), random_start=True,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Standard:
    """An ensemble of graduated runs: labels, targets, many noise levels, reheating, within one budget an image.

    Attributes:
        budget: forward and backward passes an image, together; only the images that nearly fall take all of it.
        walk: the share of a budget of 2000 or more that is kept for a walk over polytopes; 0 for none.
        branch: the share of a budget of 20,000 or more that is kept for a branch and bound, whose parts are started
            from, and which certifies what it can; 0 for none.
        flip: the share of such a budget that is kept for flips of neurons, with tabu, from the best points on; 0 for
            none.
        program: the share of such a budget that is kept for mixed-integer programs around the best point; a program
            that has begun is finished; 0 for none.
    """

    budget: int = 3000
    walk: float = 0.1
    branch: float = 0.0
    flip: float = 0.0
    program: float = 0.0

    def __post_init__(self) -> None:
        settle(self, budget=as_integer, walk=as_number, branch=as_number, flip=as_number, program=as_number)
        for name in SHARES:
            if not 0 <= (share := getattr(self, name)) < 1:
                raise UsageError(f"expected {name}, a share of the budget, to be at least 0 and below 1, found {share}")
        if (taken := sum(getattr(self, name) for name in SHARES)) >= 1:
            raise UsageError(f"{', '.join(SHARES)} take {taken:g} of the budget; expected less than all")
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


def find_attacker(name: str) -> Solver | Standard:
    """What a name stands for where whole data sets are attacked: "standard", or a solver of `adrgd.make_solver`.

    Both take `?key=value&...` for their fields.

    Raises:
        UsageError: neither, or not such a field.
    """
    base, query = split_spec(name, error=UsageError)
    if base != NAME:
        return make_solver(name, others=(NAME,))
    ensemble: Standard = changed(Standard(), query, spec=name)
    return ensemble


def run_standard(case: Case, standard: Standard, seed: int, best: Best) -> None:
    """Attack a batch, and leave what was found in `best`."""
    walking = int(standard.walk * standard.budget) if standard.budget >= LARGE else 0
    large = standard.budget if standard.budget >= LARGEST else 0
    flipping, branching, solving = (int(share * large) for share in (standard.flip, standard.branch, standard.program))
    coming = int(INWARDS * standard.budget) if case.threat.norm == "l1" and standard.budget >= ENOUGH else 0
    kept = walking + flipping + branching + solving + coming
    lanes = Lanes(case, best, budget=standard.budget - kept, seed=seed)
    _away(lanes, best.standing(), FIRST, case.loss)
    _away(lanes, best.standing(), AGAIN, find_loss("margin", targeted=case.target is not None))
    _away(lanes, lanes.standing(), AGAIN, case.loss)
    points = _populations(lanes, *_nearest(lanes))
    if coming:
        inwards(lanes, lanes.budget + coming)
    if flipping:
        from adrgd.attacks.ensemble.flips import flips

        flips(lanes, points, flipping)
    if branching:
        from adrgd.attacks.ensemble.branching import branch  # bounds are loaded where they are needed

        branch(lanes, branching)
    if walking:
        from adrgd.attacks.ensemble.polish import polish  # HiGHS is loaded where there is something to walk on

        polish(lanes, points, walking)
    if solving:
        from adrgd.attacks.ensemble.programs import programs

        programs(lanes, points, solving)


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
    if target.shape[1] > NEAREST and (points := towards(lanes, image, target, TOWARDS, LOOK)) is not None:
        image, target = points.image, points.target.gather(1, points.value.topk(NEAREST, dim=1).indices)
    stands = lanes.worth(image)
    return image[stands], target[stands, :NEAREST]


def _populations(lanes: Lanes, image: Tensor, target: Tensor) -> dict[int, Points]:
    """Runs from random points, reheated until the budget is spent; with a large one, one population after another.

    Returns:
        Of each image the best points of every population, by its position in the batch.
    """
    best: dict[int, Points] = {}
    count = max(1, round(lanes.left(image) / POPULATION))
    for number in range(count):
        least = lanes.left(image) * (count - number - 1) // (count - number)
        points = _spread(lanes, image, target)
        last: dict[int, Points] = {}
        while points is not None:
            last |= {int(at): take(points, torch.tensor([row])) for row, at in enumerate(points.image)}
            points = reheated(lanes, points) if lanes.left(points.image) > least else None
        for at, found in last.items():
            best[at] = elite(found, best.get(at))
        stands = lanes.worth(image)
        image, target = image[stands], target[stands]
    return best


def _spread(lanes: Lanes, image: Tensor, target: Tensor) -> Points | None:
    """Many runs from random points towards these classes."""
    affordable = lanes.left(image) / passes(SPREAD)
    most = min(MOST, max(2 * COPIES, lanes.at_once))
    count = COPIES * int(min(affordable / (100 + STEPS * ROUNDS), most) / COPIES)
    count = count or min(COPIES, max(NEAREST, int(affordable / LOOK)))
    each = -(-count // target.shape[1])
    return towards(lanes, image, target.repeat_interleave(each, 1)[:, :count], SPREAD, 100)
