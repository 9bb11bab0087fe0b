"""Several runs side by side on each image of a batch, within one budget of passes an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from adrgd.attacks.best import Best
from adrgd.attacks.case import Case
from adrgd.maximize import maximize
from adrgd.objective import Score
from adrgd.rows import RowRandom, column
from adrgd.solvers import Euclidean, GraduatedGates, Solver, Steepest
from adrgd.solvers.solver import Objective

AT_ONCE = 400_000  # input numbers of all rows that are worked on together, unless the batch itself has more
LANES = 2**10  # at most, side by side on one image
SHIFT = 2**40  # between the names of two lanes of one image: positions in a data set stay below it
START = 3  # passes of a row besides those of its iterations: the first probe, and the last point
FEWEST = 10  # iterations that are worth a run
FREE = 0.1  # the share of the budget that any image may spend
NEAR = 0.4  # of the clean image's margin: how near an image must have come to spend more; less, the more is spent
FLOOR = 0.05  # of the clean logits' range: what counts as the margin of an image that is hardly told from another class


class Lanes:
    """Runs of k rows an image, each of which adds to what is best, and to what was spent.

    Attributes:
        everyone: (B,) all positions in the batch.
        size: (B,) how far the clean images are from the goal, as far as that says anything (see `FLOOR`).
        margin: (B,) the largest margin met since.
        nearest: (B, ...) where it was met.
        at_once: rows that are worked on together; it follows from the images' size alone, as the number of rows must
            not depend on the batch.
    """

    def __init__(self, case: Case, best: Best, *, budget: int, seed: int) -> None:
        self.case, self.best, self.budget, self.seed = case, best, budget, seed
        self.runs = self.iterations = 0
        self.at_once = max(1, AT_ONCE // max(1, case.clean[0].numel())) if len(case.clean) else 1
        self.everyone = torch.arange(len(case.clean), device=case.clean.device)
        self.margin = case.margin(case.logits, self.everyone)
        span = case.logits.amax(1) - case.logits.amin(1)
        self.size = torch.maximum(-self.margin, FLOOR * span)
        self.nearest = case.clean.clone()

    def worth(self, image: Tensor) -> Tensor:
        """(n,) which of these images (n,) to go on with: those that stand, and that came near enough for what is spent.

        Most images that fall late come within a tenth of the clean margin in the first run; a few, of a network with
        attention, fell that had come within a quarter.
        """
        best = self.best
        share = (best.forwards + best.backwards)[image] / self.budget
        near = self.margin[image] >= -NEAR * (1 - share) * self.size[image]
        return ~best.reached[image] & ((share < FREE) | near)

    def standing(self) -> Tensor:
        """The positions of all images to go on with."""
        return self.worth(self.everyone).nonzero()[:, 0]

    def left(self, image: Tensor) -> int:
        """The passes left to each of these images (n,); all that are gone on with have spent the same."""
        return self.budget - int((self.best.forwards + self.best.backwards)[image].max()) if len(image) else 0

    def logits(self, image: Tensor) -> Tensor:
        """(n, C) at the best points of these images (n,): one forward pass, none where there are no images."""
        return self.logits_at(image, self.best.x[image]) if len(image) else self.case.logits[image]

    def logits_at(self, image: Tensor, x: Tensor) -> Tensor:
        """(n, C) at a point (n, ...) of each of these images (n,): one forward pass."""
        self.best.forwards[image] += 1
        with torch.no_grad():
            return self.case.answer(x, image)

    def random(self, image: Tensor, k: int) -> RowRandom:
        """Random numbers for the next run's n k rows."""
        return RowRandom.seeded(self.seed, self._names(image, k))

    def run(
        self, image: Tensor, x: Tensor, make: Callable[[Tensor], Objective], solver: Solver, steps: int
    ) -> tuple[Tensor, Tensor] | None:
        """Run k rows of each of n images; all rows of an image end as soon as one of them reaches its goal.

        Args:
            image: (n,) positions in the batch.
            x: (n, k, ...) where they start, unless the solver starts at random.
            make: the objective of the rows at these positions among all n k of them.
            steps: at most.

        Returns:
            The best points (n, k, ...) and their values (n, k), or None if there is no budget or no image left.
        """
        n, k = x.shape[:2]
        solver = self._stepping(solver)
        steps = min(steps, int((self.left(image) - START * k - 1) / (k * passes(solver))))
        if steps < FEWEST:
            return None
        if not self.runs:
            self.best.shorten(steps)
        names = self._names(image, k).view(n, k)
        rows = torch.arange(n * k, device=x.device).view(n, k)
        found = []
        at_once = max(1, max(len(self.case.clean), self.at_once) // k)
        for part in torch.split(torch.arange(n, device=x.device), at_once):
            owner = image[part].repeat_interleave(k)
            solution = maximize(
                make(rows[part].flatten()), x[part].flatten(0, 1), domain=self.case.around(owner), solver=solver,
                steps=steps, seed=self.seed, identity=names[part].flatten(), group=owner, check=False,
                history=not self.runs,
            )  # fmt: skip
            if solution.history is not None:
                self.best.remember(image[part], solution.history[:, ::k])
            self.best.spend(owner, solution)
            value, reached = solution.value.view(-1, k), solution.reached.view(-1, k)
            first = torch.where(solution.first_reached < 0, steps, solution.first_reached).view(-1, k).amin(1)
            self._keep(image[part], solution.x.view(x[part].shape), value, reached, self.iterations + first)
            found.append((solution.x.view(x[part].shape), value))
        self.runs, self.iterations = self.runs + 1, self.iterations + steps
        points, values = zip(*found, strict=True)
        return torch.cat(points), torch.cat(values)

    def _keep(self, image: Tensor, x: Tensor, value: Tensor, reached: Tensor, first: Tensor) -> None:
        """Compare each image's best row with what is known."""
        rank = torch.where(reached == reached.any(1, keepdim=True), value, -torch.inf)
        points = x[torch.arange(len(x), device=x.device), rank.argmax(1)]
        self.keep(image, points, first)

    def keep(self, image: Tensor, points: Tensor, first: Tensor) -> None:
        """Compare a point (n, ...) of each of these images (n,) with what is known: one forward pass.

        Args:
            first: (n,) the iteration to note where the goal is reached.
        """
        with torch.no_grad():
            logits = self.case.answer(points, image)
        score = Score(self.case.loss(logits, self.case.goal[image]), self.case.clearly_broken(logits, image))
        self.best.update(image, points, score, first)
        margin = self.case.margin(logits, image)
        nearer = margin > self.margin[image]
        self.nearest[image] = torch.where(column(nearer, points), points, self.nearest[image])
        self.margin[image] = torch.maximum(self.margin[image], margin)
        self.best.forwards[image] += 1

    def _stepping(self, solver: Solver) -> Solver:
        """In l1, where the steepest steps move few numbers as far as they go, every other run moves all of them."""
        step = solver.step
        if self.case.threat.norm != "l1" or self.runs % 2 or not isinstance(step, Steepest):
            return solver
        return replace(solver, step=Euclidean(length=step.length / 2, schedule=step.schedule, power=step.power))

    def _names(self, image: Tensor, k: int) -> Tensor:
        lane = self.runs * LANES + torch.arange(k, device=image.device)
        return (self.case.index[image][:, None] + lane * SHIFT).flatten()


def passes(solver: Solver) -> float:
    """Forward and backward passes of one iteration."""
    gates = solver.gates
    return 2 + (gates.until / gates.probe_every if isinstance(gates, GraduatedGates) else 0)
