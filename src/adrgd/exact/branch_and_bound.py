"""Best-first branch and bound over the input box, many boxes at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from adrgd.bounds.backward import Boxes, Goal, LinearBound, backward, goal
from adrgd.bounds.boxes import blame, cut, halve, losses
from adrgd.bounds.lines import forward, influence
from adrgd.bounds.products import tables
from adrgd.bounds.refine import refine
from adrgd.bounds.rounding import rounding_slack
from adrgd.bounds.slopes import tighten
from adrgd.errors import DomainError
from adrgd.exact import ascent
from adrgd.exact.affine import Mlp
from adrgd.exact.certificate import Certificate
from adrgd.exact.pool import Pool

_SLOPE_STEPS = 3
_BATCH_ENTRIES = 500_000  # float64 numbers that the largest temporary of a batch may have
_LARGEST_BATCH = 4096
_POOL_BYTES = 2**29
_SEARCH_SHARE = 0.25  # of the time, at most, for finding a first point
_WITHIN = 1 - 1e-12  # of the tolerance, so that the gap, which is rounded too, stays below it


class BranchAndBound:
    """The state of one search; `run` may be stopped at any time and leaves a valid bound."""

    def __init__(
        self,
        mlp: Mlp,
        lower: Tensor,
        upper: Tensor,
        *,
        tolerance: float,
        absolute_tolerance: float,
        time_limit: float,
        batch: int | None,
        open_limit: int | None,
    ) -> None:
        self._began = time.perf_counter()
        self._mlp, self._lower, self._upper = mlp, lower, upper
        self._tolerance, self._absolute, self._time_limit = tolerance, absolute_tolerance, time_limit
        self._network = mlp.network()
        self._stages = rounding_slack(self._network, lower, upper)
        self._slack = float(self._stages[-1])
        self._tables = tables(self._network)
        widest = max((*self._network.sizes, mlp.inputs))
        self._batch = batch or max(1, min(_LARGEST_BATCH, _BATCH_ENTRIES // (widest * widest)))
        self._best = (lower, -math.inf)  # one object, so that an interrupt cannot part the point from its value
        self._closed = -math.inf  # no point of the parts already given up is above this
        self._nodes = 0
        self._pool = Pool(mlp.inputs, limit=open_limit or max(1, _POOL_BYTES // Pool.bytes_per_box(mlp.inputs)))
        box = Boxes(lower[None], upper[None])
        relaxations = refine(self._network, box, forward(self._network, box, self._stages).intervals, self._stages)[1]
        root, _ = backward(self._network, self._wanted(1), relaxations, box)
        self._upper_bound = float(self._above(root))
        if not math.isfinite(self._upper_bound):
            raise DomainError(
                "the network's values over the box overflow float64; pass a smaller box or smaller weights"
            )
        self._pool.add(box.lower, box.upper, self._above(root))
        self._offer(torch.cat([((lower + upper) / 2).clamp(lower, upper)[None], root.vertex(box)[:, 0]]))

    def run(self, start: Tensor | None, progress: Callable[[Certificate], None] | None) -> Certificate:
        """Search until the gap is closed, the time is over, or the user interrupts."""
        try:
            if start is not None:
                self._offer(start)
            self._offer(ascent.search(self._mlp, self._lower, self._upper, start=start, stop=self._search_over)[None])
            while len(self._pool):
                # Set before each batch, so that it also covers the boxes of a batch that is interrupted.
                self._upper_bound = max(self._closed, self._pool.highest())
                if progress is not None:
                    progress(self.certificate("the search goes on"))
                if self._upper_bound <= self._threshold():
                    break
                if self._late():
                    return self.certificate(f"stopped by the time limit of {self._time_limit:g} seconds")
                best = self._best
                self._expand(*self._pool.take(self._batch))
                if self._best is not best and self._pool.drop(self._threshold()):
                    self._closed = max(self._closed, self._threshold())
            self._upper_bound = max(self._closed, self._pool.highest())
        except KeyboardInterrupt:
            return self.certificate("stopped by the user")
        if self._proven():
            return self.certificate("proven to the tolerance")
        return self.certificate("stopped at the limit of float64 rounding; ask for a larger tolerance")

    def certificate(self, status: str) -> Certificate:
        """The state as a certificate."""
        point, value = self._best
        upper_bound = max(self._upper_bound, value)
        excess = upper_bound - value
        gap = excess / abs(value) if value else (math.inf if excess else 0.0)
        return Certificate(
            point=point.clone(),
            value=value,
            upper_bound=upper_bound,
            gap=gap,
            nodes=self._nodes,
            open_nodes=len(self._pool),
            seconds=self._elapsed(),
            proven=self._proven(),
            status=status,
        )

    def _wanted(self, count: int) -> Goal:
        """Minus the network, to be bounded from below on so many boxes."""
        rows = -torch.ones(count, 1, 1, dtype=torch.float64)
        return goal(self._network, self._mlp.hidden, rows, torch.zeros(count, 1, dtype=torch.float64))

    def _above(self, linear: LinearBound) -> Tensor:
        """What the network does not exceed on each box."""
        return self._slack - linear.value[:, 0]

    def _expand(self, lower: Tensor, upper: Tensor, inherited: Tensor) -> None:
        """Bound a batch of boxes, give up those that cannot improve, split the others."""
        self._nodes += lower.shape[0]
        boxes = Boxes(lower, upper)
        _, relaxations = refine(self._network, boxes, None, self._stages, self._tables)
        linear, _ = backward(self._network, self._wanted(len(boxes)), relaxations, boxes)
        self._offer(linear.vertex(boxes)[:, 0], climb=True)
        bounds = torch.minimum(self._above(linear), inherited)
        alive = self._close(bounds)
        if not alive.numel():
            return
        boxes, bounds = boxes.take(alive), bounds[alive]
        relaxations = [relaxation.take(alive) for relaxation in relaxations]
        wanted = self._wanted(len(boxes))
        linear, coefficients = tighten(self._network, wanted, relaxations, boxes, steps=_SLOPE_STEPS)
        values = self._offer(linear.vertex(boxes)[:, 0], climb=True)
        bounds = torch.minimum(self._above(linear), bounds)
        scores = blame(losses(coefficients, relaxations), influence(self._network, boxes, relaxations), boxes)
        # A bound that a point of the box attains up to rounding cannot be improved by splitting.
        alive = self._close(bounds, attained=bounds - values <= 2 * self._slack)
        if not alive.numel():
            return
        # the part where minus the network, moved up to the threshold, can be zero or less
        moved = LinearBound(linear.value - self._slack, linear.slope, linear.offset + self._threshold() - self._slack)
        boxes, _ = cut(boxes.take(alive), moved.take(alive), torch.ones(len(alive), 1, dtype=torch.bool))
        self._closed = max(self._closed, self._threshold())
        bounds = bounds[alive]
        children, split = halve(boxes, scores[alive])
        if not split.all():
            self._closed = max(self._closed, float(bounds[~split].max()))
            bounds = bounds[split]
        self._pool.add(children.lower, children.upper, torch.cat([bounds, bounds]))

    def _close(self, bounds: Tensor, *, attained: Tensor | None = None) -> Tensor:
        """Give up boxes within the tolerance of the best value or with an attained bound; indices of the others."""
        alive = bounds > self._threshold()
        if attained is not None:
            alive &= ~attained
        if not alive.all():
            self._closed = max(self._closed, float(bounds[~alive].max()))
        return alive.nonzero().squeeze(1)

    def _offer(self, points: Tensor, *, climb: bool = False) -> Tensor:
        """Values of these points; the best is kept if it beats the one known, after climbing on from it if asked."""
        values = self._mlp(points)[:, 0]
        index = values.argmax()
        if values[index] > self._best[1]:
            point = points[index]
            if climb:
                point = ascent.polish(self._mlp, point[None], self._lower, self._upper, stop=self._late)
            # A point is evaluated alone, as a caller would: its value in a batch may differ in the last digit.
            value = float(self._mlp(point[None]))
            if value > self._best[1]:
                self._best = (point.clone(), value)
        return values

    def _threshold(self) -> float:
        """The largest number that exceeds the best value by no more than the tolerance."""
        value = self._best[1]
        allowed = _WITHIN * max(self._tolerance * abs(value), self._absolute)
        threshold = value + allowed
        return threshold if threshold - value <= allowed else math.nextafter(threshold, -math.inf)

    def _proven(self) -> bool:
        return self._upper_bound <= self._threshold()

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    def _late(self) -> bool:
        return self._elapsed() >= self._time_limit

    def _search_over(self) -> bool:
        return self._elapsed() >= _SEARCH_SHARE * self._time_limit
