"""Two lines around any curve whose slope is monotone between known points.

The difference between the curve and a line has its extremes at the ends, at the turning points, or where the curve has
the line's slope: once between two turning points, at most. That place is found by halving, and what the curve can still
do beside the place that was found is at most the difference of the slopes there times the distance. So the offset of
a line of any slope is known; of a few slopes, the one that leaves the least area is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.bounds.curves import Curve

INSIDE = 1e-9  # of a piece, from its ends: there a slope belongs to this piece
HALVINGS = 16
ROUNDED = 1e-13  # relative to the numbers that meet
SLOPES = (0.0, 0.2, 0.5, 0.8, 1.0)  # places whose slopes are tried
STEEPEST = 16.0  # slope of a line along a jump: rounding costs the more, the steeper lines are


@dataclass(frozen=True)
class _Pieces:
    """A curve over intervals: ends (k + 1, ...), values there, and for each piece the slopes near its two ends.

    Where the slope changes its side still nearer to an end, the curve stays below, or above, its tangent there.
    """

    curve: Curve
    ends: Tensor
    at: Tensor
    values: Tensor
    first: Tensor
    last: Tensor

    @staticmethod
    def of(curve: Curve, lower: Tensor, upper: Tensor) -> _Pieces:
        ends = torch.stack([lower, *curve.corners(lower, upper), upper])
        inside = INSIDE * (ends[1:] - ends[:-1])
        first, last = ends[:-1] + inside, ends[1:] - inside
        if curve.leaps:  # to see either side of a jump
            first = torch.maximum(first, torch.nextafter(ends[:-1], ends[1:]))
            last = torch.minimum(last, torch.nextafter(ends[1:], ends[:-1]))
        at = torch.cat([ends, first, last])
        return _Pieces(curve, ends, at, curve.value(at), curve.slope(first), curve.slope(last))

    def steepest(self) -> Tensor:
        """The largest slope without its sign; as near to the ends as is looked."""
        return torch.maximum(self.first.abs(), self.last.abs()).amax(0)

    def to_corners(self) -> list[Tensor]:
        """Slopes of lines from the interval's ends to its kinks, or to either side of its jumps."""
        count = len(self.first)
        inner = slice(count + 1, None) if self.curve.leaps else slice(1, count)
        inside = self.at[inner], self.values[inner]
        found = []
        for end in (0, count):
            for at, value in zip(*inside, strict=True):
                apart = at - self.ends[end]
                found.append((value - self.values[end]) / torch.where(apart != 0, apart, torch.inf))
        return found

    def slack(self, slope: Tensor) -> Tensor:
        """What rounding, the ends of pieces, and a curve that is not quite this one can be worth."""
        size = self.ends.abs().amax(0)
        steep = self.steepest() + slope.abs()
        rounded = ROUNDED * (1 + self.values.abs().amax(0) + steep * size)
        return rounded + 2 * INSIDE * steep * (self.ends[-1] - self.ends[0]) + self.curve.off * (1 + size)

    def extremes(self, slope: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the largest value of the curve minus a line through zero, slopes (..., boxes, neurons)."""
        at_ends = self.values - slope.unsqueeze(-3) * self.at
        low, high = at_ends.amin(-3), at_ends.amax(-3)
        for k in range(len(self.first)):
            rising = self.first[k] - slope
            inside = (rising * (self.last[k] - slope) < 0) & (self.ends[k + 1] > self.ends[k])
            if not inside.any():
                continue
            at = self._place(k, slope, rising)
            reach = (self.curve.slope(at) - slope).abs() * (self.ends[k + 1] - self.ends[k])
            value = self.curve.value(at) - slope * at
            low = torch.where(inside, torch.minimum(low, value - reach), low)
            high = torch.where(inside, torch.maximum(high, value + reach), high)
        slack = self.slack(slope)
        return low - slack, high + slack

    def _place(self, piece: int, slope: Tensor, rising: Tensor) -> Tensor:
        """About where a piece has a slope, if it has it; `rising` is what its slope at first is more than that."""
        a, b = self.ends[piece], self.ends[piece + 1]
        if self.curve.meets is not None:
            at = self.curve.meets(slope, piece)
            return torch.minimum(torch.maximum(torch.where(at.isfinite(), at, (a + b) / 2), a), b)
        a, b = (end.expand_as(slope).clone() for end in (a, b))
        for _ in range(HALVINGS):
            middle = (a + b) / 2
            before = (self.curve.slope(middle) - slope) * rising > 0
            a, b = torch.where(before, middle, a), torch.where(before, b, middle)
        return (a + b) / 2


def hull(curve: Curve, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Slope and offset of a line below, and of one above, a curve over intervals (boxes, neurons).

    Where the curve is not finite, the lines are flat and at infinity.
    """
    pieces = _Pieces.of(curve, lower, upper)
    width = upper - lower
    chord = (pieces.values[len(pieces.ends) - 1] - pieces.values[0]) / torch.where(width > 0, width, 1.0)
    tried = [curve.slope(lower + width * (share * (1 - 2 * INSIDE) + INSIDE)) for share in SLOPES]
    if curve.leaps or curve.kinks:
        tried += pieces.to_corners()
    slopes = torch.stack([chord, torch.zeros_like(chord), *tried]).nan_to_num(0.0, 0.0, 0.0)
    if curve.leaps:
        slopes = slopes.clamp(-STEEPEST, STEEPEST)
    if curve.period is not None:  # beyond the turning points that are looked at, only flat lines hold
        slopes = torch.where(width > 2 * curve.period, 0.0, slopes)
    low, high = pieces.extremes(slopes)
    if curve.period is not None:
        wide = (width > 2 * curve.period).expand_as(low)
        low, high = torch.where(wide, low.clamp(max=-1.0), low), torch.where(wide, high.clamp(min=1.0), high)
    low, high = low.nan_to_num(-torch.inf, -torch.inf, -torch.inf), high.nan_to_num(torch.inf, torch.inf, torch.inf)
    middle = (lower + upper) / 2
    below = (slopes * middle + low).argmax(0, keepdim=True)
    above = (slopes * middle + high).argmin(0, keepdim=True)
    found = (slopes.gather(0, below)[0], low.gather(0, below)[0], slopes.gather(0, above)[0], high.gather(0, above)[0])
    known = torch.stack([end.isfinite() for end in (*found, lower, upper)]).all(0)
    flat = torch.zeros_like(middle)
    return (
        torch.where(known, found[0], flat), torch.where(known, found[1], -torch.inf),
        torch.where(known, found[2], flat), torch.where(known, found[3], torch.inf),
    )  # fmt: skip


def ranges(curve: Curve, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest value over intervals."""
    low, high = _Pieces.of(curve, lower, upper).extremes(torch.zeros_like(lower))
    if curve.period is not None:
        wide = upper - lower > 2 * curve.period
        low, high = torch.where(wide, low.clamp(max=-1.0), low), torch.where(wide, high.clamp(min=1.0), high)
    return low.nan_to_num(-torch.inf, torch.inf, -torch.inf), high.nan_to_num(torch.inf, torch.inf, -torch.inf)


def steepness(curve: Curve, lower: Tensor, upper: Tensor) -> Tensor:
    """The largest slope over intervals, without its sign."""
    steep = _Pieces.of(curve, lower, upper).steepest()
    if curve.period is not None:
        steep = steep.clamp(min=1.0)
    if curve.leaps:
        steep = steep.clamp(min=STEEPEST)
    return steep.nan_to_num(torch.inf, torch.inf, torch.inf)
