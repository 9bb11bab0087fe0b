"""Balls that shrink around each image until nothing is found inside.

Each row has a radius of its own, which grows until a run inside it breaks the image. From then on the radius is a
little smaller than the nearest broken point is far: by a share that falls with each run that finds nothing, which
proves nothing, so that others follow until the row has spent its passes. Runs end as soon as they succeed, so that most
of them are short. In linf, one begins at the nearest broken point, put into the ball, and the next at a random point,
which goes to one of the nearest classes. In the other norms, one that begins at the nearest broken point is followed by
two whose ball follows what they find (`adrgd.attacks.smallest.control`): one from the clean image towards one of the
nearest classes, and one from the nearest broken point; in l2, one from a random point follows these. Where
passes are too few for these, runs are as in linf; in l1, where steepest steps move whole numbers, the second begins at
the nearest broken point too and takes Euclidean steps. At the end the point is drawn towards the clean image as far as
it stays broken: along the line, or pixel by pixel in l0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from adrgd.attacks.case import Case
from adrgd.attacks.smallest.boundary import follow
from adrgd.attacks.smallest.control import control
from adrgd.domain import Domain, across
from adrgd.errors import UsageError
from adrgd.maximize import maximize
from adrgd.objective import Score
from adrgd.rows import RowRandom, column
from adrgd.solution import Status
from adrgd.solvers import Solver
from adrgd.solvers.steps import Euclidean

FIRST: dict[str, float] = {"linf": 0.1, "l2": 0.1, "l1": 0.02, "l0": 0.01}  # radius, as a share of the box's own size
GROWTH = 2.0  # of a radius while nothing was found
LESS = 0.3  # the share by which the first radius is smaller than what was found
AGAIN = 0.7  # of that share after a run that found nothing
LEAST = 0.005  # of that share
NEAREST = 4  # classes that second runs go to
SHARPENED = 5  # every so many runs the boundary is followed instead
PLANES = 8  # linearisations on the way
# In l2 chosen by the mean distances of 12 to 25 images of each of four networks, none of which is in the tables.
TURNS: dict[str, tuple[str, ...]] = {
    "linf": ("nearest", "random"), "l2": ("nearest", "control from clean", "control from nearest", "random"),
    "l1": ("nearest", "control from clean", "control from nearest"),
    "l0": ("nearest", "control from clean", "control from nearest"),
}  # fmt: skip
CONTROLLED = 60  # iterations of a run whose ball follows what it finds
HALVINGS = 12  # of the way back to the clean image


class Found(NamedTuple):
    """The nearest broken points x (B, ...), or the clean ones; the largest radii without any, and the passes spent.

    `moved` (B,) tells whether any gradient was not zero.
    """

    x: Tensor
    failed: Tensor
    forwards: Tensor
    backwards: Tensor
    moved: Tensor


def search(case: Case, *, solver: Solver, steps: int, passes: int | Tensor, seed: int, enough: float = 0.0) -> Found:
    """Look for the nearest broken point of each image of a case whose threat says the norm and the box.

    Args:
        steps: iterations of each run, at most.
        passes: forward and backward passes, together, for each image or of each (B,).
        enough: a distance at which an image is left.
    """
    work = _Search(case, solver, steps, passes, seed, enough)
    while len(rows := work.unfinished()):
        work.turn(rows)
    work.restore() if work.counted else work.draw_in()
    return Found(work.best, work.below, work.spent[0], work.spent[1], work.moved)


def least_passes(steps: int) -> int:
    """What a first run and the way back take: passes and probes of its iterations, and the last point's."""
    return int(2.2 * steps) + 2 + HALVINGS


class _Search:
    """What is known of each of B images.

    Attributes:
        best: (B, ...) the nearest broken points.
        above: (B,) their distances, infinite while there is none.
        below: (B,) the largest radius in which nothing was found.
        less: (B,) by which share the next radius is smaller than what was found.
        spent: (2, B) forward and backward passes.
        moved: (B,) whether some run met a gradient that was not zero.
        enough: a distance at which an image is left.
        dearest: passes of the run that took most.
        controlled: passes of a run whose ball follows what it finds.
        counted: radii are whole numbers.
    """

    def __init__(self, case: Case, solver: Solver, steps: int, passes: int | Tensor, seed: int, enough: float) -> None:
        self.case, self.solver, self.steps, self.passes, self.seed, self.runs = case, solver, steps, passes, seed, 0
        clean, threat = case.clean, case.threat
        if threat.range is None:
            raise UsageError("expected a box around the inputs whose smallest change is looked for; give both its ends")
        self.counted = threat.norm == "l0"
        self.enough = max(enough, 1.0 if self.counted else 0.0)
        self.whole = across(threat.norm, threat.range[1] - threat.range[0], clean.shape[1:])
        self.best = clean.clone()
        broken = case.broken(case.logits.argmax(1))
        self.above = torch.where(broken, 0.0, torch.inf).double()
        self.below = torch.zeros_like(self.above)
        self.less = torch.full_like(self.above, LESS)
        self.dearest = least_passes(steps) - HALVINGS
        self.controlled = least_passes(CONTROLLED) - HALVINGS
        self.moved = torch.zeros(len(clean), dtype=torch.bool, device=clean.device)
        self.spent = torch.zeros(2, len(clean), dtype=torch.int64, device=clean.device)

    def unfinished(self) -> Tensor:
        """The positions of the images to go on with."""
        least = self.above <= self.enough
        everything = self.above.isinf() & (self.below >= self.whole)
        positions: Tensor = (~(least | everything) & self._pays(self.dearest)).nonzero()[:, 0]
        return positions

    def turn(self, rows: Tensor) -> None:
        """What comes next for each of these images."""
        turns = TURNS[self.case.threat.norm]
        kind = turns[self.runs % len(turns)]
        if self.runs % SHARPENED == SHARPENED - 1 and not self.counted:
            self.sharpen(rows)
        elif kind in ("nearest", "random"):
            self.run(rows, second=kind == "random")
        else:
            can = self.above[rows].isfinite() & self._pays(self.controlled)[rows]
            self.control(rows[can], fresh=kind == "control from clean")
            self.run(rows[~can], second=kind == "control from clean")
        self.runs += 1

    def control(self, rows: Tensor, *, fresh: bool) -> None:
        """One run of each of these images whose ball follows what it finds, from the clean image or the nearest one."""
        if not len(rows):
            return
        case = self.case
        target = self._class(self.runs // len(TURNS[case.threat.norm])) if fresh else None
        start = (case.clean if fresh else self.best)[rows]

        def keep(x: Tensor, broken: Tensor) -> Tensor:
            self._keep(rows, x, broken)
            return self.above[rows]

        spent = control(
            case, rows, Clearly(case, rows, target), start, self.above[rows], keep, gates=self.solver.gates,
            steps=CONTROLLED, random=RowRandom.seeded(self.seed, case.index[rows] + self.runs * 2**40), fresh=fresh,
        )  # fmt: skip
        self.spent[:, rows] += torch.tensor(spent, device=rows.device)[:, None]
        self.controlled = max(self.controlled, sum(spent))

    def run(self, rows: Tensor, *, second: bool) -> None:
        """One run of each of these images inside a radius of its own.

        Args:
            second: it takes another way than from the nearest point by the solver's own steps.
        """
        if not len(rows):
            return
        radius, case, x = self._radius(rows), self.case, self.best[rows]
        sparse = case.threat.norm == "l1"
        solver = replace(self.solver, step=Euclidean()) if sparse and second else self.solver
        goal = Clearly(case, rows, self._class(self.runs // 2) if second else None)
        solution = maximize(
            goal, x, domain=self._ball(rows, radius), solver=solver, steps=self.steps, seed=self.seed,
            identity=case.index[rows] + self.runs * 2**40, first_restart=int(second and not sparse), check=False,
        )  # fmt: skip
        spent = torch.stack([solution.forwards, solution.backwards])
        self.spent[:, rows] += spent
        self.moved[rows[solution.status != Status.FLAT]] = True
        self.dearest = max(self.dearest, int(spent.sum(0).max()))
        self._keep(rows, solution.x, solution.reached)
        failed = ~solution.reached
        self.below[rows] = torch.where(failed, radius.maximum(self.below[rows]), self.below[rows])
        smaller = torch.where(failed & self.above[rows].isfinite(), AGAIN, 1.0)
        self.less[rows] = (self.less[rows] * smaller).clamp_min(LEAST)

    def sharpen(self, rows: Tensor) -> None:
        """Follow the decision boundary from the nearest broken points of these images."""
        rows = rows[self.above[rows].isfinite()]
        if len(rows):
            found = follow(self.case, rows, self.best[rows], self.whole, PLANES)
            self.spent[:, rows] += PLANES
            self._keep(rows, found.x, found.distance.isfinite())

    def draw_in(self) -> None:
        """Go back along the line to the clean image while the point stays broken."""
        rows = (self.above.isfinite() & (self.above > 0)).nonzero()[:, 0]
        if not len(rows):
            return
        clean, far = self.case.clean[rows], torch.ones(len(rows), dtype=self.best.dtype, device=self.best.device)
        near, start = torch.zeros_like(far), self.best[rows]
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            broken = self._broken(rows, torch.lerp(clean, start, column(middle, start)))
            near, far = torch.where(broken, near, middle), torch.where(broken, middle, far)
        self.spent[0, rows] += HALVINGS
        point = torch.where(column(far < 1, start), torch.lerp(clean, start, column(far, start)), start)
        self.best[rows], self.above[rows] = point, self._distance(rows, point)

    def restore(self) -> None:
        """Set changed pixels back to the clean ones, one after another, while the point stays broken."""
        rows = (self.above.isfinite() & (self.above > 0)).nonzero()[:, 0]
        if not len(rows):
            return
        clean, x = self.case.clean[rows], self.best[rows]
        images = x.dim() > 2
        change = (x - clean).abs()
        size = (change.sum(1) if images else change).flatten(1)
        order = torch.where(size > 0, size, torch.inf).argsort(1)
        for place in range(int((size > 0).sum(1).max())):
            at = torch.zeros_like(size, dtype=torch.bool).scatter_(1, order[:, place : place + 1], True)
            at = (at.view(len(x), 1, *x.shape[2:]) if images else at).expand_as(x)
            trial = torch.where(at, clean, x)
            x = torch.where(column(self._broken(rows, trial), x), trial, x)
        self.spent[0, rows] += (size > 0).sum(1)
        self.best[rows], self.above[rows] = x, self._distance(rows, x)

    def _pays(self, passes: int) -> Tensor:
        """(B,) whether so many passes are left, and those of the way back."""
        last = torch.where(self.above.isinf(), 0, self.above) if self.counted else HALVINGS
        enough: Tensor = self.spent.sum(0) + passes + last <= self.passes
        return enough

    def _class(self, turn: int) -> Tensor | None:
        """(B,) the class that a run goes to, each of the nearest by the clean logits in turn."""
        case = self.case
        others = case.logits.shape[1] - 1
        if case.target is not None or others < 2:
            return None
        order = case.logits.scatter(1, case.labels[:, None], -torch.inf).argsort(1, descending=True)
        return order[:, turn % min(NEAREST, others)]

    def _keep(self, rows: Tensor, x: Tensor, broken: Tensor) -> None:
        size = self._distance(rows, x)
        nearer = broken & (size < self.above[rows])
        self.best[rows] = torch.where(column(nearer, x), x, self.best[rows])
        self.above[rows] = torch.where(nearer, size, self.above[rows])

    def _broken(self, rows: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.case.clearly_broken(self.case.answer(x, rows), rows)

    def _radius(self, rows: Tensor) -> Tensor:
        above, below = self.above[rows], self.below[rows]
        first = torch.full_like(below, FIRST[self.case.threat.norm] * self.whole)
        wider = torch.where(below > 0, below * GROWTH, first).clamp_max(self.whole)
        radius = torch.where(above.isinf(), wider, above * (1 - self.less[rows]))
        return radius.floor().minimum(above - 1).clamp_min(1) if self.counted else radius

    def _ball(self, rows: Tensor, radius: Tensor) -> Domain:
        return self.case.threat.around(self.case.clean[rows], radius)

    def _distance(self, rows: Tensor, x: Tensor) -> Tensor:
        return self.case.threat.distance(x, self.case.clean[rows])


@dataclass(frozen=True)
class Clearly:
    """The loss of the images at these positions, reached where they are broken by more than rounding.

    Attributes:
        target: (B,) the class to bring ahead of the label instead; any other that comes ahead will do.
    """

    case: Case
    image: Tensor
    target: Tensor | None = None

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        image = self.image[rows]
        logits = self.case.answer(x, image)
        if self.target is None:
            value = self.case.loss(logits, self.case.goal[image])
        else:
            pair = logits.gather(1, torch.stack([self.target[image], self.case.labels[image]], 1))
            value = pair[:, 0] - pair[:, 1]
        return Score(value, self.case.clearly_broken(logits, image))
