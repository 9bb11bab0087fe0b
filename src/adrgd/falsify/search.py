"""The search for a counterexample inside a time limit: all boxes and cases of a property in one batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adrgd.domain import Box
from adrgd.errors import out_of_memory
from adrgd.falsify.cost import Operations
from adrgd.falsify.counterexample import Counterexample
from adrgd.falsify.property import Property
from adrgd.falsify.rounds import Round, Walk, schedule
from adrgd.falsify.violation import Region, Violation, regions
from adrgd.maximize import maximize
from adrgd.models.onnx import OnnxNet
from adrgd.objective import Score
from adrgd.rows import RowRandom
from adrgd.solution import NonFiniteError, Solution

if TYPE_CHECKING:
    from adrgd.falsify.walks import Walker

Accept = Callable[[Tensor], Counterexample | None]
"""The judge: an input (n,) in float64, as the counterexample that it is or None."""

OPERATIONS = 10**9  # of the forward passes of one iteration: what one core does in a tenth of a second or two
WALKS = 50 * OPERATIONS  # of one walk
FEWEST = 50  # passes that are worth a walk
EMPTY = 2  # rounds without a single finite value, after which more are not begun
KEPT = 16  # best points of each box that later rounds may begin from


@dataclass(frozen=True)
class Found:
    """How a search ended.

    Attributes:
        counterexample: None when there was none before the deadline.
        exhausted: nothing was left to try, so that more time would not help.
        rounds, passes: rounds begun; forward and backward passes over single inputs.
        walked: whether a walk over polytopes found it.
        no_room: memory ran out before any run could be made, and nothing was searched from then on.
        gap: the least violated constraint of the best point, negative where it holds; None when none was evaluated.
    """

    counterexample: Counterexample | None
    exhausted: bool
    rounds: int
    passes: int
    gap: float | None
    walked: bool = False
    no_room: bool = False


def search(
    network: OnnxNet,
    prop: Property,
    *,
    deadline: float,
    seed: int,
    accept: Accept,
    turns: Iterable[Round | Walk] | None = None,
    patience: Callable[[], int | None] = lambda: None,
) -> Found:
    """Look for a counterexample until the deadline, a value of `time.monotonic()`, checked at every iteration.

    The verdict of `accept` decides; the search itself runs in single precision.

    Args:
        turns: what to do one after the other; `schedule()` unless given. The search ends when they do.
        patience: asked for the number of rounds without a better point after which the search ends; None for no end.

    Raises:
        NonFiniteError: the network's outputs are not finite.
    """
    if not prop.cases:
        return Found(None, True, 0, 0, None)
    return _Search(network.float(), prop, deadline, seed, accept).run(schedule() if turns is None else turns, patience)


@dataclass
class _Archive:
    """The best points of each region, best first: x (G, K, n) and their gaps (G, K)."""

    x: Tensor
    gap: Tensor

    def add(self, x: Tensor, gap: Tensor, region: Tensor) -> None:
        for at in sorted(set(region.tolist())):
            mine = region == at
            gaps, points = torch.cat([self.gap[at], gap[mine]]), torch.cat([self.x[at], x[mine]])
            best = gaps.topk(self.gap.shape[1]).indices
            self.gap[at], self.x[at] = gaps[best], points[best]


@dataclass
class _Search:
    network: OnnxNet
    prop: Property
    deadline: float
    seed: int
    accept: Accept
    rounds: int = 0
    passes: int = 0
    drawn: int = 0
    found: Counterexample | None = None
    walked: bool = False
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.groups: list[Region] = regions(self.prop, self.dtype)
        here = torch.get_default_device()
        self.lower = torch.stack([group.lower for group in self.groups]).to(here)
        self.upper = torch.stack([group.upper for group in self.groups]).to(here)
        only_compares = all(
            _compares(case.on_outputs, case.bound) and case.on_inputs is None for case in self.prop.cases
        )
        outputs = self.network.scores if only_compares else self.network
        self.violation = Violation(outputs, self.prop, self.groups, self.dtype, deadline=self.deadline)
        kept = torch.full((len(self.groups), KEPT), -torch.inf)
        self.archive = _Archive(torch.zeros(len(self.groups), KEPT, self.prop.inputs), kept)
        self.cost = self._cost()
        self.most = max(1, OPERATIONS // self.cost)
        self.walker: Walker | None = None
        self.no_room = False

    def run(self, turns: Iterable[Round | Walk], patience: Callable[[], int | None]) -> Found:
        only_points = bool((self.lower == self.upper).all())
        best, since = -math.inf, 0
        for turn in turns:
            self.rounds += 1
            over = (
                self._walk(turn)
                if isinstance(turn, Walk)
                else any(map(partial(self._solve, turn), self._batches(turn)))
            )
            if over:
                return self._end()
            reached = float(self.archive.gap.max())
            best, since = (reached, 0) if reached > best else (best, since + 1)
            most = patience()
            if only_points or (most is not None and since >= most):
                break
        return self._end(exhausted=True)

    def _walk(self, turn: Walk) -> bool:
        """Walk from the best points known; true when the search is over."""
        passes = min(turn.passes, WALKS // self.cost)
        if passes < FEWEST:
            return self._over()
        if self.walker is None:
            from adrgd.falsify.walks import Walker  # HiGHS is loaded where there is something to walk on

            self.walker = Walker(self.violation, self.deadline)
        places = self.archive.gap.flatten().topk(min(turn.starts, self.archive.gap.numel())).indices
        for region, k in [divmod(place, self.archive.gap.shape[1]) for place in places.tolist()]:
            x, gap = self.archive.x[region, k], float(self.archive.gap[region, k])
            if self._over() or gap == -math.inf:
                break
            better = self.walker.raised(x, gap, region, self.lower[region], self.upper[region], passes)
            if better is None:
                continue
            if better[1] >= self.violation.margin and self._judge(better[0], torch.tensor(region)):
                self.walked = True
                break
            self.archive.add(better[0][None], torch.tensor([better[1]]), torch.tensor([region]))
        return self._over()

    def _batches(self, turn: Round) -> Iterator[Tensor]:
        """The region of each run, in batches that an iteration gets through in good time; every region has runs."""
        rows = max(len(self.groups), min(turn.rows, self.most))
        for first in range(0, rows, self.most):
            yield torch.arange(first, min(first + self.most, rows)) % len(self.groups)

    def _end(self, exhausted: bool = False) -> Found:
        best = float(self.archive.gap.max())
        passes = self.passes + (self.walker.passes if self.walker else 0)
        return Found(
            self.found, exhausted, self.rounds, passes, best if best > -torch.inf else None, self.walked, self.no_room
        )

    def _over(self) -> bool:
        return self.found is not None or time.monotonic() >= self.deadline

    def _solve(self, turn: Round, region: Tensor) -> bool:
        """Run one batch; true when the search is over."""
        if self._over():
            return True
        identity = self.drawn + torch.arange(len(region))
        self.drawn += len(region)
        random = RowRandom.seeded(self.seed, identity)
        lower, upper = self.lower[region], self.upper[region]
        start = lower + random.uniform((self.prop.inputs,), "anywhere", dtype=self.dtype) * (upper - lower)
        if turn.shake is not None:
            start = self._shaken(turn.shake, region, random, start)
        elif self.rounds == 1:  # the middle of each box first
            first = torch.arange(len(region)) < len(self.groups)
            start = torch.where(first[:, None], (lower + upper) / 2, start)
        focus = self._focus(turn.open_share, region, random)

        def objective(x: Tensor, rows: Tensor) -> Score:
            return self.violation.score(x, region[rows], focus[rows])

        judged = torch.full((len(region),), -torch.inf)

        def look(t: int, solution: Solution) -> bool:
            fresh = solution.reached & (solution.value > judged)
            for row in fresh.nonzero()[:, 0].tolist():
                judged[row] = solution.value[row]
                if self._judge(solution.x[row], region[row]):
                    return True
            return self._over()

        try:
            solution = maximize(
                objective, start, domain=Box(lower, upper), solver=turn.solver, steps=turn.steps, seed=self.seed,
                identity=identity, stop_at_goal=False, check=False, on_iteration=look,
            )  # fmt: skip
        except NonFiniteError as error:  # starts are dropped one by one, and all of these were
            return self._lost(error)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return self._cramped(len(region))
        self.passes += int(solution.forwards.sum() + solution.backwards.sum())
        if not self._over():
            with torch.no_grad():
                gaps = self.violation.gaps(solution.x, region).amax(1)
                self.archive.add(solution.x, torch.where(gaps.isfinite(), gaps, -torch.inf), region)
        return self._over()

    def _lost(self, error: NonFiniteError) -> bool:
        """None of a batch's starts has a finite value; others may, and that none ever has is an error."""
        if self.rounds > EMPTY and not (self.archive.gap > -torch.inf).any():
            raise error
        return self._over()

    def _cramped(self, runs: int) -> bool:
        """There was no memory for so many runs at once: half of them may fit. Where one does not, the search ends."""
        self.most, self.no_room = max(1, runs // 2), runs == 1
        return self.no_room or self._over()

    def _judge(self, x: Tensor, region: Tensor) -> bool:
        case = self.prop.cases[self.groups[int(region)].cases[0]]
        self.found = self.accept(torch.minimum(torch.maximum(x.cpu().double(), case.lower), case.upper))
        if self.found is None:
            self.violation.margin = max(2 * self.violation.margin, 1e-6)
        return self.found is not None

    def _shaken(self, shake: float, region: Tensor, random: RowRandom, anywhere: Tensor) -> Tensor:
        known = (self.archive.gap[region] > -torch.inf).sum(1)
        pick = (random.uniform((), "parent", dtype=self.dtype) * known).long().clamp(max=KEPT - 1)
        parent = self.archive.x[region, pick]
        move = (2 * random.uniform((self.prop.inputs,), "shake", dtype=self.dtype) - 1) * shake
        reach = (self.upper[region] - self.lower[region]) / 2
        return torch.where((known > 0)[:, None], parent + move * reach, anywhere)

    def _focus(self, open_share: float, region: Tensor, random: RowRandom) -> Tensor:
        """The case that each run pursues, -1 for any."""
        count = (~self.violation.absent)[region].sum(1)
        one = (random.uniform((), "case", dtype=self.dtype) * count).long()
        anything = random.uniform((), "whether", dtype=self.dtype) < open_share
        return torch.where(anything | (count == 1), -1, one)

    def _cost(self) -> int:
        counted = Operations()
        with torch.no_grad(), counted:
            self.violation.gaps(self.lower[:1], torch.zeros(1, dtype=torch.int64))
        return max(1, counted.count)


def _compares(on_outputs: Tensor, bound: Tensor) -> bool:
    """Whether each constraint only says which of two outputs is larger, as an order of the outputs can tell."""
    two = ((on_outputs != 0).sum(1) == 2) & (on_outputs.sum(1) == 0)
    return bool((two & (bound == 0)).all())
