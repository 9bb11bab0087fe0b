"""Best-first branch and bound over the input box, many boxes at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from adrgd.errors import DomainError
from adrgd.exact import ascent, branching
from adrgd.exact.affine import Mlp
from adrgd.exact.bounds import Bounder
from adrgd.exact.certificate import Certificate
from adrgd.exact.objective import bound_above, tighten
from adrgd.exact.pool import Pool

_SLOPE_STEPS = 3
_BATCH_ENTRIES = 1_000_000  # float64 numbers that the largest temporary of a batch may have
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
        self._bounder = Bounder(mlp, lower, upper)
        self._slack = float(self._bounder.slack[-1])
        self._batch = batch or max(1, min(_LARGEST_BATCH, _BATCH_ENTRIES // self._bounder.entries_per_box()))
        self._best = (lower, -math.inf)  # one object, so that an interrupt cannot part the point from its value
        self._closed = -math.inf  # no point of the parts already given up is above this
        self._nodes = 0
        self._pool = Pool(mlp.inputs, limit=open_limit or max(1, _POOL_BYTES // Pool.bytes_per_box(mlp.inputs)))
        low, high = lower[None], upper[None]
        root = bound_above(mlp, low, high, self._bounder.relaxations(low, high), self._slack)
        self._upper_bound = float(root.bound)
        if not math.isfinite(self._upper_bound):
            raise DomainError(
                "the network's values over the box overflow float64; pass a smaller box or smaller weights"
            )
        self._pool.add(low, high, root.bound)
        self._offer(torch.cat([((lower + upper) / 2).clamp(lower, upper)[None], root.vertex]))

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

    def _expand(self, lower: Tensor, upper: Tensor, inherited: Tensor) -> None:
        """Bound a batch of boxes, give up those that cannot improve, split the others."""
        self._nodes += lower.shape[0]
        relaxations = self._bounder.relaxations(lower, upper)
        linear = bound_above(self._mlp, lower, upper, relaxations, self._slack)
        self._offer(linear.vertex, climb=True)
        bounds = torch.minimum(linear.bound, inherited)
        alive = self._close(bounds)
        if not alive.numel():
            return
        lower, upper, linear, bounds = lower[alive], upper[alive], linear.take(alive), bounds[alive]
        relaxations = [relaxation.take(alive) for relaxation in relaxations]
        linear = tighten(self._mlp, lower, upper, relaxations, self._slack, start=linear, steps=_SLOPE_STEPS)
        values = self._offer(linear.vertex, climb=True)
        bounds = torch.minimum(linear.bound, bounds)
        scores = branching.score(self._mlp, lower, upper, relaxations)
        # A bound that a point of the box attains up to rounding cannot be improved by splitting.
        alive = self._close(bounds, attained=bounds - values <= 2 * self._slack)
        if not alive.numel():
            return
        lower, upper = branching.cut(lower[alive], upper[alive], linear.take(alive), self._threshold())
        self._closed = max(self._closed, self._threshold())
        bounds = bounds[alive]
        first, second, split = branching.halve(lower, upper, scores[alive])
        if not split.all():
            self._closed = max(self._closed, float(bounds[~split].max()))
            bounds = bounds[split]
        self._pool.add(first, second, torch.cat([bounds, bounds]))

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
