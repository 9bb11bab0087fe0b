"""Whole numbers and categories: points of a box or polytope some of whose numbers may take a few values only.

The search moves through the domain without that condition (`relaxed`), and each of its points is rounded before it is
evaluated: what is recorded and returned is a rounded point with its own value, never one between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adrgd.domain.box import BoundBox, Box
from adrgd.domain.linf import LinfBall
from adrgd.domain.nearest import nearest
from adrgd.domain.polytope import BoundPolytope, Polytope
from adrgd.errors import DomainError
from adrgd.linear_program import Array, NoPointError, Program
from adrgd.rows import Common, RowRandom, column

NEAR = 1e-9  # how far from a whole number a bound may lie and still count as one


@dataclass(frozen=True)
class Discrete:
    """The points of `domain` whose numbers at `whole` are whole, and in each of whose groups one number is 1, others 0.

    Attributes:
        domain: a Box, a LinfBall, or a Polytope with a box, for rows of n numbers (of any shape, flattened).
        whole: positions of numbers that are to be whole; or n truth values.
        groups: positions of each category's numbers, one of which is 1.
    """

    domain: Box | LinfBall | Polytope
    whole: Any = ()
    groups: Sequence[Sequence[int]] = ()

    def bind(self, x: Tensor) -> BoundDiscrete:
        count = x[0].numel()
        whole = torch.zeros(count, dtype=torch.bool)
        at, groups = _positions(self.whole, count), [_positions(group, count) for group in _listed(self.groups)]
        together = [k for group in groups for k in group]
        if wrong := [k for k in [*at, *together] if not 0 <= k < count]:
            raise DomainError(f"expected positions from 0 to {count - 1} of whole numbers and groups, found {wrong[0]}")
        if len(set(together)) < len(together) or any(len(group) < 2 for group in groups):
            raise DomainError("expected groups of two numbers at least, none in two of them; correct the groups")
        whole[at], whole[together] = True, True
        inner = _tightened(_boxed(self.domain, x), whole, together, x)
        if isinstance(inner, Polytope):
            inner = _summed(inner, groups, count)
        relaxed = inner.bind(x)
        box = relaxed if isinstance(relaxed, BoundBox) else relaxed.box
        low, high = (end.double().flatten(1) for end in (box.low, box.high))
        for group in groups:
            if (high[:, group] < 1).all(1).any() or (low[:, group] > 0).sum(1).gt(1).any():
                raise DomainError(f"the bounds of group {group} leave no value of 1 with all others 0; widen them")
        found = BoundDiscrete(relaxed, Common(whole.to(x.device)), Common(groups), x.detach())
        return found if isinstance(relaxed, BoundBox) else replace(found, start=found.least(x))


@dataclass(frozen=True)
class BoundDiscrete:
    """Points of `relaxed` that are whole where they have to be.

    Attributes:
        whole: (n,) where, groups included.
        start: (B, ...) points that obey all rules; anything inside a box.
    """

    relaxed: BoundBox | BoundPolytope
    whole: Common[Tensor]
    groups: Common[list[list[int]]]
    start: Tensor

    @property
    def scale(self) -> Tensor:
        return self.relaxed.scale

    @property
    def noise(self) -> Tensor:
        return self.relaxed.noise

    @property
    def box(self) -> BoundBox:
        return self.relaxed if isinstance(self.relaxed, BoundBox) else self.relaxed.box

    def contains(self, x: Tensor) -> Tensor:
        flat, inside = x.flatten(1), self.relaxed.contains(x)
        inside = inside & (flat == flat.round())[:, self.whole.value].all(1)
        for group in self.groups.value:
            inside = inside & (flat[:, group].sum(1) == 1) & (flat[:, group] >= 0).all(1)
        return inside

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of a box. Under rules, rounded; where that breaks one, the allowed point for which the
        sum of changes, each in units of its range, is least, by a program of whole numbers."""
        kept = self.contains(x)
        if kept.all():
            return x
        y = self._rounded(x)
        if not isinstance(self.relaxed, BoundBox):
            y = self._obeying(self.relaxed, x, y)
        return torch.where(column(kept, x), x, y)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        return self.project(self.relaxed.sample(random, label))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        return self.relaxed.steepest(gradient, at)

    def least(self, x: Tensor) -> Tensor:
        """Points that obey all rules, the nearest to x in the sum of changes.

        Raises:
            DomainError: there are none.
        """
        rows = [self._program(x, k) for k in range(len(x))]
        if missing := [k for k, row in enumerate(rows) if row is None]:
            raise DomainError(
                f"no point with whole numbers satisfies all rules of row {missing[0]}; loosen one, or widen the box"
            )
        found = torch.from_numpy(np.stack([row for row in rows if row is not None])).to(x.device).view(x.shape)
        return self._pinned(self._polytope, found.double(), self._rounded(found.to(x)))

    @property
    def _polytope(self) -> BoundPolytope:
        if isinstance(self.relaxed, BoundBox):
            raise DomainError("expected a polytope under whole numbers, found a box")
        return self.relaxed

    def _rounded(self, x: Tensor) -> Tensor:
        flat = self.box.project(x).flatten(1)
        low, high = self.box.low.flatten(1), self.box.high.flatten(1)
        y = torch.where(self.whole.value, flat.round(), flat)
        for group in self.groups.value:
            possible = (high[:, group] >= 1) & ((low[:, group] <= 0).sum(1, keepdim=True) >= len(group) - 1)
            forced = (low[:, group] > 0).any(1, keepdim=True)
            possible = possible & (~forced | (low[:, group] > 0))
            first = torch.where(possible, x.flatten(1)[:, group], -torch.inf).argmax(1)
            one = torch.zeros_like(y[:, group]).scatter_(1, first[:, None], 1.0)
            y = y.index_copy(1, torch.tensor(group, device=y.device), one)
        return y.view_as(x)

    def _obeying(self, inner: BoundPolytope, x: Tensor, y: Tensor) -> Tensor:
        """y (B, ...) is rounded already; what breaks a rule is replaced."""
        y = self._pinned(inner, x, y)
        for k in (~self.contains(y)).nonzero()[:, 0].tolist():
            row = self._program(x, k)
            if row is not None:
                one = torch.from_numpy(row).to(x.device).view(1, *x.shape[1:])
                part = replace(self, relaxed=_row(inner, k), start=self.start[k : k + 1])
                y[k : k + 1] = part._pinned(part._polytope, x[k : k + 1], part._rounded(one.to(x)))
        return torch.where(column(self.contains(y), y), y, self.start)

    def _pinned(self, inner: BoundPolytope, x: Tensor, y: Tensor) -> Tensor:
        """The nearest point to x under the rules whose whole numbers are those of y."""
        if self.whole.value.all():
            return y
        flat, near = y.double().flatten(1), x.double().flatten(1)
        low, high = (end.double().flatten(1) for end in (inner.box.low, inner.box.high))
        whole = self.whole.value
        ends = (torch.where(whole, flat, low), torch.where(whole, flat, high))
        found = nearest(near, inner.rules.value, *ends)
        found = torch.where(whole | ~found.isfinite(), flat, found)
        return inner.box.project(found.view_as(y).to(y))

    def _program(self, x: Tensor, k: int) -> Array | None:
        """The allowed point of row k that is nearest to x in the sum of changes; None where there is none."""
        rules = self._polytope.rules.value
        count = x[0].numel()
        low, high, near = (part[k].double().flatten().cpu().numpy() for part in (self.box.low, self.box.high, x))
        a, b, c, d = (part.cpu().numpy() for part in vars(rules).values())
        reach = np.maximum(high - low, 1e-300)
        eye = np.eye(count)
        # beside each number a further one: its change, in units of its range
        matrix = np.block([
            [a, np.zeros_like(a)], [c, np.zeros_like(c)], [eye, -np.diag(reach)], [-eye, -np.diag(reach)],
        ])  # fmt: skip
        endless = np.full(len(b), -np.inf), np.full(2 * count, -np.inf)
        program = Program(
            matrix, np.concatenate([endless[0], d, endless[1]]), np.concatenate([b, d, near, -near]),
            np.concatenate([low, np.zeros(count)]), np.concatenate([high, np.full(count, np.inf)]),
            np.concatenate([self.whole.value.cpu().numpy(), np.zeros(count, dtype=bool)]),
        )  # fmt: skip
        try:
            return program.best(np.concatenate([np.zeros(count), -np.ones(count)]))[:count]
        except NoPointError:
            return None


def _row(inner: BoundPolytope, k: int) -> BoundPolytope:
    part = slice(k, k + 1)
    box = BoundBox(inner.box.low[part], inner.box.high[part], inner.box.reach[part])
    return replace(inner, box=box, inside=inner.inside[part])


def _listed(groups: Any) -> list[Any]:
    if isinstance(groups, str) or not hasattr(groups, "__iter__"):
        raise DomainError(f"expected groups as lists of positions, found {groups!r}; pass [[1, 2], [3, 4]]")
    return list(groups)


def _positions(given: Any, count: int) -> list[int]:
    """Positions, from whole numbers or from `count` truth values.

    Raises:
        DomainError: they are something else.
    """
    wrong = f"expected positions as whole numbers, found {given!r}; pass a list of them"
    try:
        found = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise DomainError(wrong) from None
    if found.dtype == torch.bool and found.shape == (count,):
        return found.nonzero()[:, 0].tolist()
    if found.dim() != 1 or found.dtype == torch.bool or (found % 1 != 0).any():
        raise DomainError(wrong)
    return found.long().tolist()


def _boxed(domain: Any, x: Tensor) -> Any:
    """A ball in the largest norm is a box."""
    if not isinstance(domain, LinfBall):
        return domain
    bound = domain.bind(x)
    return Box(bound.low, bound.high)


def _tightened(domain: Any, whole: Tensor, together: list[int], x: Tensor) -> Box | Polytope:
    """The same domain with whole numbers as the bounds of whole numbers, and 0 and 1 as those of groups."""
    box = domain if isinstance(domain, Box) else domain.box if isinstance(domain, Polytope) else None
    if not isinstance(box, Box):
        raise DomainError(
            "whole numbers and categories need a Box, a LinfBall, or a Polytope with a Box, found "
            f"{type(domain).__name__}; give the numbers lower and upper bounds"
        )
    bound = Box(box.lower, box.upper).bind(x.double())
    low, high = bound.low.flatten(1).clone(), bound.high.flatten(1).clone()
    low[:, whole] = (low[:, whole] - NEAR).ceil()
    high[:, whole] = (high[:, whole] + NEAR).floor()
    low[:, together], high[:, together] = low[:, together].clamp_min(0), high[:, together].clamp_max(1)
    if (low > high).any():
        at = int((low > high).nonzero()[0, 1])
        raise DomainError(f"the bounds of number {at} hold no whole number that it may take; widen them")
    tight = Box(low.view_as(x), high.view_as(x))
    return tight if isinstance(domain, Box) else replace(domain, box=tight)


def _summed(polytope: Polytope, groups: list[list[int]], count: int) -> Polytope:
    """With one more rule for each group: its sum is 1."""
    if not groups:
        return polytope
    rows = np.zeros((len(groups), count))
    for row, group in zip(rows, groups, strict=True):
        row[group] = 1.0
    known, sides = (np.zeros((0, count)), np.zeros(0)) if polytope.c is None else (polytope.c, polytope.d)
    known = np.asarray(known, dtype=np.float64).reshape(-1, count)
    sides = np.concatenate([np.asarray(sides, dtype=np.float64).reshape(-1), np.ones(len(groups))])
    return replace(polytope, c=np.concatenate([known, rows]), d=sides)
