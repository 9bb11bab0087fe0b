"""Linear rules: points with a x <= b and c x = d, inside a box or bounded by the rules themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adrgd.domain.box import BoundBox, Box
from adrgd.domain.nearest import Linear, nearest
from adrgd.errors import DomainError
from adrgd.linear_program import Array, NoBoundError, NoPointError, Program
from adrgd.rows import Common, RowRandom, column

SLACK = 32  # units in the last place, of a rule's own size, by which a point may miss it
WALK = 64  # moves of a random point


@dataclass(frozen=True)
class Polytope:
    """a x <= b, c x = d and the box, for rows of n numbers (of any shape, flattened).

    A point obeys a rule if it misses it by no more than the rounding of numbers of x's type: 32 units in the last place
    of |a| times the largest |x| there can be, plus |b|. The box holds exactly. The nearest point is one of an
    interior-point method in float64.

    Attributes:
        a, b: (m, n) and (m,); None for no such rule.
        c, d: (k, n) and (k,); None for no such rule.
        box: of all rows, or one a row (tensors that broadcast to x); without one the rules have to bound all numbers.
    """

    a: Any = None
    b: Any = None
    c: Any = None
    d: Any = None
    box: Box | None = None

    def bind(self, x: Tensor) -> BoundPolytope:
        rules = _rules(self.a, self.b, x[0].numel(), "a and b")
        equal = _rules(self.c, self.d, x[0].numel(), "c and d")
        if not len(rules[0]) + len(equal[0]):
            raise DomainError("a polytope has no rules: expected a and b, or c and d; for bounds alone use Box")
        box = (_bounds(rules, equal, x) if self.box is None else self.box).bind(x)
        low, high = (end.double().flatten(1) for end in (box.low, box.high))
        inside = _middle(rules, equal, low, high).to(x.device)
        size = torch.maximum(low.abs(), high.abs()).amax(0)
        linear, unit = _scaled(rules, equal, size.cpu())
        linear = Linear(*(part.to(x.device) for part in vars(linear).values()))
        bound = BoundPolytope(box, inside.view_as(x), Common(linear), Common(unit.to(x.device)))
        middle = box.project(bound.inside.to(x))
        return bound if bound.contains(middle).all() else _refuse_thin(x)


@dataclass(frozen=True)
class BoundPolytope:
    """Rows that obey the rules, each inside its own box.

    Attributes:
        inside: (B, ...) in float64, a point that obeys all rules with as much to spare as there is.
        rules: scaled so that each has length one.
        unit: what one unit of slack is in each of them, at float64.
    """

    box: BoundBox
    inside: Tensor
    rules: Common[Linear]
    unit: Common[Tensor]

    @property
    def scale(self) -> Tensor:
        return self.box.reach

    @property
    def noise(self) -> Tensor:
        return self.box.reach

    def contains(self, x: Tensor) -> Tensor:
        rules, flat = self.rules.value, x.double().flatten(1)
        over = torch.cat([flat @ rules.a.T - rules.b, (flat @ rules.c.T - rules.d).abs()], 1)
        allowed = SLACK * torch.finfo(x.dtype).eps * self.unit.value
        return self.box.contains(x) & (over <= allowed).all(1)

    def project(self, x: Tensor) -> Tensor:
        kept = self.contains(x)
        if kept.all():
            return x
        low, high = (end.double().flatten(1) for end in (self.box.low, self.box.high))
        found = nearest(x.double().flatten(1), self.rules.value, low, high).view_as(x)
        found = torch.where(column(found.flatten(1).isfinite().all(1), found), found, self.inside)
        return torch.where(column(kept, x), x, self._settled(found, x.dtype))

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        """A walk of random directions from the middle, as far as the rules let it, which is uniform after long."""
        rules = self.rules.value
        low, high = (end.double().flatten(1) for end in (self.box.low, self.box.high))
        at, reach, shape = self.inside.flatten(1), (high - low) / 2, tuple(self.box.low.shape[1:])
        for step in range(WALK):
            v = random.normal(shape, label + " way", step, torch.float64).flatten(1) * reach
            v = v - self._across(v, torch.ones_like(reach))
            rise = torch.cat([v @ rules.a.T, v, -v], 1)
            room = torch.cat([rules.b - at @ rules.a.T, high - at, at - low], 1).clamp_min(0)
            ends = [torch.where(sign * rise > 0, room / (sign * rise), torch.inf).amin(1) for sign in (1, -1)]
            forth, back = (torch.where(end.isfinite(), end, 0) for end in ends)
            share = random.uniform((), label + " far", step, torch.float64)
            at = at + v * (share * (forth + back) - back)[:, None]
        return self._settled(at.view_as(self.inside), self.box.low.dtype)

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """As long as the box's half diagonal, each number in units of its own range, and along all equalities."""
        reach = self.box.reach.double().flatten(1)
        slope = gradient.double().flatten(1) * reach
        slope = slope - self._across(slope, reach)
        length = slope.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        step = slope / length * (reach > 0).sum(1, keepdim=True).sqrt() * reach
        found: Tensor = step.view_as(gradient).to(gradient)
        return found

    def _across(self, v: Tensor, weight: Tensor) -> Tensor:
        """The part of v (B, n) that leaves the equalities, where number j counts weight_j (B, n)."""
        c = self.rules.value.c
        if not len(c):
            return torch.zeros_like(v)
        rows = c * weight[:, None]
        gram = rows @ rows.transpose(1, 2)
        gram = gram + 1e-14 * torch.diag_embed(gram.diagonal(dim1=1, dim2=2) + 1e-300)
        turn = torch.linalg.solve(gram, (rows @ v[:, :, None]))
        part: Tensor = (rows.transpose(1, 2) @ turn)[:, :, 0]
        return part

    def _settled(self, y: Tensor, dtype: torch.dtype) -> Tensor:
        """In the given precision; what misses a rule by more than rounding is drawn towards the middle."""
        share = torch.finfo(torch.float64).eps
        found = self.box.project(y.to(dtype))
        while (outside := ~self.contains(found)).any():
            share = min(1.0, 4 * share)
            y = torch.where(column(outside, y), torch.lerp(y, self.inside, share), y)
            found = torch.where(column(outside, found), self.box.project(y.to(dtype)), found)
            if share >= 1:
                break
        return found


def _rules(rows: Any, sides: Any, count: int, names: str) -> tuple[Array, Array]:
    """One kind of rules as (m, n) and (m,) in float64."""
    if rows is None and sides is None:
        return np.zeros((0, count)), np.zeros(0)
    if rows is None or sides is None:
        raise DomainError(f"{names} of a polytope go together; pass both, or neither")
    try:
        matrix, side = (np.asarray(one.detach().cpu() if isinstance(one, Tensor) else one, dtype=np.float64)
                        for one in (rows, sides))  # fmt: skip
    except (TypeError, ValueError):
        raise DomainError(f"{names} of a polytope must both be numbers; pass two arrays of them") from None
    matrix = matrix.reshape(len(matrix), -1) if matrix.ndim > 1 else matrix[None]
    side = side.reshape(-1)
    if matrix.shape != (len(side), count):
        raise DomainError(
            f"{names} of a polytope have shapes {matrix.shape} and {side.shape}; expected (rules, {count}) and "
            f"(rules,) for rows of {count} numbers"
        )
    if not (np.isfinite(matrix).all() and np.isfinite(side).all()):
        raise DomainError(f"{names} of a polytope hold NaN or infinite values; expected finite numbers")
    return matrix, side


def _program(rules: tuple[Array, Array], equal: tuple[Array, Array], low: Array, high: Array) -> Program:
    matrix = np.concatenate([rules[0], equal[0]])
    least = np.concatenate([np.full(len(rules[1]), -np.inf), equal[1]])
    return Program(matrix, least, np.concatenate([rules[1], equal[1]]), low, high)


def _bounds(rules: tuple[Array, Array], equal: tuple[Array, Array], x: Tensor) -> Box:
    """The smallest box around what the rules allow."""
    count = x[0].numel()
    program = _program(rules, equal, np.full(count, -np.inf), np.full(count, np.inf))
    ends = np.zeros((2, count))
    for k in range(count):
        goal = np.zeros(count)
        goal[k] = 1.0
        try:
            ends[:, k] = program.best(-goal)[k], program.best(goal)[k]
        except NoBoundError:
            raise DomainError(
                f"the polytope is unbounded: no rule bounds number {k} from both sides; add one, or give it a box"
            ) from None
        except NoPointError:
            raise DomainError("the polytope is empty: no point satisfies all of its rules; loosen one") from None
    low, high = (torch.from_numpy(end).to(x.device).view(1, *x.shape[1:]) for end in ends)
    return Box(low, torch.maximum(low, high))


def _middle(rules: tuple[Array, Array], equal: tuple[Array, Array], low: Tensor, high: Tensor) -> Tensor:
    """(B, n) points that obey all rules with as much to spare as there is, by a program for each box that differs."""
    boxes, which = torch.unique(torch.cat([low, high], 1).cpu(), dim=0, return_inverse=True)
    found = []
    count = low.shape[1]
    for row, box in enumerate(boxes.numpy()):
        least, most = box[:count], box[count:]
        # a further number, the share to spare: of a rule's length times the box, and of each number's range
        reach = (most - least) / 2
        spare = np.abs(rules[0]) @ reach
        pushed = np.concatenate([np.eye(count), -np.eye(count)])
        matrix = np.concatenate([rules[0], pushed, equal[0]])
        extra = np.concatenate([spare, reach, reach, np.zeros(len(equal[1]))])
        side = np.concatenate([rules[1], most, -least])
        program = Program(
            np.concatenate([matrix, extra[:, None]], 1), np.concatenate([np.full(len(side), -np.inf), equal[1]]),
            np.concatenate([side, equal[1]]), np.append(least, 0.0), np.append(most, 1.0),
        )  # fmt: skip
        try:
            found.append(program.best(np.append(np.zeros(count), 1.0))[:count])
        except NoPointError:
            at = int((which == row).nonzero()[0])
            where = f" inside the box of row {at}" if len(boxes) > 1 else ""
            raise DomainError(
                f"the polytope is empty: no point{where} satisfies all of its rules; loosen one, or widen the box"
            ) from None
    return torch.from_numpy(np.stack(found))[which].clamp(low.cpu(), high.cpu())


def _scaled(rules: tuple[Array, Array], equal: tuple[Array, Array], size: Tensor) -> tuple[Linear, Tensor]:
    """All rules at length one, equalities that follow from others left out; and each one's own size."""
    parts, units = [], []
    for matrix, side in (rules, equal):
        length = np.linalg.norm(matrix, axis=1)
        kept = length > 0
        length = length[kept]
        parts += [torch.from_numpy(matrix[kept] / length[:, None]), torch.from_numpy(side[kept] / length)]
        units.append(parts[-2].abs() @ size + parts[-1].abs())
    chosen: list[int] = []
    for k in range(len(parts[2])):
        if torch.linalg.matrix_rank(parts[2][[*chosen, k]], rtol=1e-10) > len(chosen):
            chosen.append(k)
    linear = Linear(parts[0], parts[1], parts[2][chosen], parts[3][chosen])
    return linear, torch.cat([units[0], units[1][chosen]])


def _refuse_thin(x: Tensor) -> BoundPolytope:
    raise DomainError(
        f"the polytope holds no point that {x.dtype} can tell from its rules; use torch.float64, or loosen a rule"
    )
