"""The smallest change of each image that breaks it: balls that shrink around each image until nothing is found.

Each row has a radius of its own. A run inside it that breaks the image gives a new, smaller size; one that does not
raises the bound below which nothing was found, which proves nothing. The next radius lies between the two. Runs end as
soon as they succeed, so that most of them are short, and each goes on until its row has spent its passes. At the end
the point is drawn towards the clean image as far as it stays broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from adrgd.attacks.case import Case, finite_logits
from adrgd.attacks.prepare import prepared
from adrgd.attacks.threat import Threat
from adrgd.domain import Box, Domain, Norm, across, ball
from adrgd.errors import UsageError
from adrgd.given import as_count, as_integer, as_solver
from adrgd.maximize import maximize
from adrgd.models.outputs import Output
from adrgd.objective import Score
from adrgd.rows import column
from adrgd.solvers import GraduatedADR, Solver

FIRST: dict[str, float] = {"linf": 0.1, "l2": 0.1, "l1": 0.02}  # radius, as a share of the box's own size in that norm
GROWTH = 2.0  # of a radius while nothing was found
CLOSE = 1e-3  # relative: bounds this near to each other are met
HALVINGS = 12  # of the way back to the clean image


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """How to look for the smallest change.

    Attributes:
        norm: "linf", "l2" or "l1".
        passes: forward and backward passes an image, together; at least two a step.
        steps: iterations of each run, at most.
        solver: what moves the inputs inside each ball.
        lower, upper: the range of valid inputs.
        target: as in `Threat`.
        loss: a name from `adrgd.objective.LOSSES`.
        seed: of all randomness.
    """

    norm: Norm = "l2"
    passes: int = 1000
    steps: int = 40
    solver: Solver = field(default_factory=GraduatedADR)
    lower: float = 0.0
    upper: float = 1.0
    target: Any = None
    loss: str = "margin"
    seed: int = 0

    def __post_init__(self) -> None:
        threat = self.threat(1.0)
        if threat.norm == "l0":
            raise UsageError(
                "expected the norm linf, l2 or l1 of a smallest change, found l0; give attack_batch a number"
            )
        object.__setattr__(self, "norm", threat.norm)
        object.__setattr__(self, "solver", as_solver(self.solver))
        for name, check in (("passes", as_count), ("steps", as_count), ("seed", as_integer)):
            object.__setattr__(self, name, check(getattr(self, name), name))
        if self.passes < 2 * self.steps:
            raise UsageError(
                f"expected passes for one run of {self.steps} steps at least, that is {2 * self.steps}, found "
                f"{self.passes}; raise passes or lower steps"
            )

    def threat(self, eps: float) -> Threat:
        """What the attacker may do within a radius."""
        return Threat(norm=self.norm, eps=eps, lower=self.lower, upper=self.upper, target=self.target)


@dataclass(frozen=True)
class Smallest:
    """One entry an image.

    Attributes:
        adversarial: (B, ...) the nearest broken inputs found; the clean image where none was.
        distance: (B,) their distance from the clean images, in float64; infinite where none was found, 0 where the
            image was broken to begin with.
        failed: (B,) the largest radius in which a run found nothing, 0 where every run found something.
        forward_passes, backward_passes: (B,) spent.
    """

    adversarial: Tensor
    distance: Tensor
    failed: Tensor
    forward_passes: Tensor
    backward_passes: Tensor

    @property
    def success(self) -> Tensor:
        """(B,) whether a broken input was found."""
        return self.distance.isfinite()

    def robust_accuracy(self, eps: float) -> float:
        """The share of images of which nothing broken was found within this radius."""
        return float((self.distance > eps).double().mean())


def smallest_changes(
    model: Callable[[Tensor], Any],
    images: Any,
    labels: Any,
    minimum: Minimum,
    *,
    index: Tensor | None = None,
    output: Output = None,
    check: bool = True,
) -> Smallest:
    """Look for the smallest change of each image (B, ...) that breaks it; takes what `attack_batch` takes.

    Raises:
        UsageError, DataError, ModelError: as `attack_batch`.
    """
    if not isinstance(minimum, Minimum):
        raise UsageError(f"minimum must be a Minimum such as Minimum(norm='l2'), found {minimum!r}")
    case = prepared(
        "smallest_changes", model, images, labels, minimum.threat(1.0), loss=minimum.loss, seed=minimum.seed,
        index=index, output=output, check=check,
    )  # fmt: skip
    search = _Search(case, minimum)
    while len(rows := search.unfinished()):
        search.run(rows)
    search.draw_in()
    return search.found()


class _Search:
    """What is known of each of B images.

    Attributes:
        best: (B, ...) the nearest broken points.
        above: (B,) their distances, infinite while there is none.
        below: (B,) the largest radius in which nothing was found.
        spent: (2, B) forward and backward passes.
    """

    def __init__(self, case: Case, minimum: Minimum) -> None:
        self.case, self.minimum, self.runs = case, minimum, 0
        clean = case.clean
        width = minimum.upper - minimum.lower
        self.whole = across(minimum.norm, width, clean.shape[1:])
        self.best = clean.clone()
        broken = case.broken(case.logits.argmax(1))
        self.above = torch.where(broken, 0.0, torch.inf).double()
        self.below = torch.zeros_like(self.above)
        self.spent = torch.zeros(2, len(clean), dtype=torch.int64, device=clean.device)

    def unfinished(self) -> Tensor:
        """The positions of the images to go on with."""
        found = self.above.isfinite()
        close = found & (self.above - self.below <= CLOSE * self.above)
        everything = ~found & (self.below >= self.whole)
        paid = self.spent.sum(0) + 2 * self.minimum.steps > self.minimum.passes
        positions: Tensor = (~(close | everything | paid)).nonzero()[:, 0]
        return positions

    def run(self, rows: Tensor) -> None:
        """One run of each of these images inside a radius of its own."""
        radius, case = self._radius(rows), self.case
        x = self.best[rows]
        solution = maximize(
            _Clearly(case, rows), x, domain=self._ball(rows, radius), solver=self.minimum.solver,
            steps=self.minimum.steps, seed=self.minimum.seed, identity=case.index[rows] + self.runs * 2**40,
            first_restart=1 if self.runs % 2 else 0, check=False,
        )  # fmt: skip
        self.runs += 1
        self.spent[:, rows] += torch.stack([solution.forwards, solution.backwards])
        size = self._distance(rows, solution.x)
        nearer = solution.reached & (size < self.above[rows])
        self.best[rows] = torch.where(column(nearer, x), solution.x, x)
        self.above[rows] = torch.where(nearer, size, self.above[rows])
        self.below[rows] = torch.where(solution.reached, self.below[rows], radius.maximum(self.below[rows]))

    def draw_in(self) -> None:
        """Go back along the line to the clean image while the point stays broken."""
        rows = (self.above.isfinite() & (self.above > 0)).nonzero()[:, 0]
        if not len(rows):
            return
        clean, far = self.case.clean[rows], torch.ones(len(rows), dtype=self.best.dtype, device=self.best.device)
        near, start = torch.zeros_like(far), self.best[rows]
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            with torch.no_grad():
                logits = self.case.model(torch.lerp(clean, start, column(middle, start)))
            broken = self.case.clearly_broken(logits, rows)
            near, far = torch.where(broken, near, middle), torch.where(broken, middle, far)
        self.spent[0, rows] += HALVINGS
        point = torch.where(column(far < 1, start), torch.lerp(clean, start, column(far, start)), start)
        self.best[rows], self.above[rows] = point, self._distance(rows, point)

    def found(self) -> Smallest:
        """What was found, judged once more as it is returned."""
        broken = self.case.broken(finite_logits(self.case.model, self.best).argmax(1))
        distance = torch.where(broken, self.above, torch.inf)
        adversarial = torch.where(column(broken, self.best), self.best, self.case.clean)
        return Smallest(adversarial, distance, self.below, *self.spent)

    def _radius(self, rows: Tensor) -> Tensor:
        above, below = self.above[rows], self.below[rows]
        first = torch.full_like(below, FIRST[self.minimum.norm] * self.whole)
        wider = torch.where(below > 0, below * GROWTH, first).clamp_max(self.whole)
        return torch.where(above.isinf(), wider, (above + below) / 2)

    def _ball(self, rows: Tensor, radius: Tensor) -> Domain:
        return ball(self.minimum.norm, self.case.clean[rows], radius, Box(self.minimum.lower, self.minimum.upper))

    def _distance(self, rows: Tensor, x: Tensor) -> Tensor:
        return self.case.threat.distance(x, self.case.clean[rows])


@dataclass(frozen=True)
class _Clearly:
    """The loss of the images at these positions, reached where they are broken by more than rounding."""

    case: Case
    image: Tensor

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        image = self.image[rows]
        logits = self.case.model(x)
        return Score(self.case.loss(logits, self.case.goal[image]), self.case.clearly_broken(logits, image))
