"""A ball in the Mahalanobis distance: an ellipsoid whose axes are those of a covariance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from adrgd.domain.ball import Ball, BoundBall
from adrgd.domain.box import BoundBox
from adrgd.errors import DomainError
from adrgd.rows import Common, RowRandom, column, norm

HALVINGS = 60
NEWTON = 100  # steps at most towards the multiplier of the ellipsoid alone
TURNS = 300  # between ellipsoid and box, at most
CLOSE = 1e-12  # of the multiplier: how little a step may change
MET = 1e-9  # of the change: how close the two nearest points have to come


@dataclass(frozen=True)
class Ellipsoid(Ball):
    """sqrt((x - centre) C^-1 (x - centre)) <= eps over a row, cut by `box` when one is given.

    Attributes:
        covariance: C, positive definite, (n, n) for rows of n numbers; or their variances alone, n of them.
    """

    covariance: Any = field(kw_only=True)

    def bind(self, x: Tensor) -> BoundEllipsoid:
        centre, eps, box = self.fitted(x)
        axes, variances = _axes(self.covariance, x)
        return BoundEllipsoid(centre, eps, box, Common(axes), Common(variances))


@dataclass(frozen=True)
class BoundEllipsoid(BoundBall):
    """Ellipsoids around `centre` (B, ...), of radius `eps` (B,), cut by `box`.

    Attributes:
        axes: (n, n), a unit vector a column; None for those of the coordinates.
        variances: (n,) along them.
    """

    axes: Common[Tensor | None]
    variances: Common[Tensor]

    @property
    def scale(self) -> Tensor:
        axes, variances = self.axes.value, self.variances.value
        each = variances if axes is None else (axes.square() * variances).sum(1)
        size = each.sqrt() / len(each) ** 0.5
        found: Tensor = (self.eps[:, None] * size).view_as(self.centre).to(self.centre)
        return found

    def distance(self, x: Tensor) -> Tensor:
        return norm(self._along(x.double() - self.centre.double()) / self.variances.value.sqrt())

    def project(self, x: Tensor) -> Tensor:
        """In a box, with axes of its own, by turns between the two (ADMM); nearest to six digits then."""
        inside = self.contains(x)
        change = x.double() - self.centre.double()
        if self.box is None:
            moved = self._onto(change)
        else:
            both = self._onto_separate if self.axes.value is None else self._onto_both
            moved = both(change, self.box, inside)
        near = (self.centre.double() + moved).to(x)
        near = near if self.box is None else self.box.project(near)
        return torch.where(column(inside, x), x, self.pulled_in(near))

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        shape, dtype = tuple(self.centre.shape[1:]), torch.float64
        v = random.normal(shape, label + " direction", dtype=dtype).flatten(1)
        v = v / v.norm(dim=1, keepdim=True).clamp_min(1e-300)
        share = random.uniform((), label + " radius", dtype=dtype) ** (1 / v.shape[1])
        move = self._back(v * self.variances.value.sqrt() * (self.eps * share)[:, None])
        return self.project((self.centre.double() + move).to(self.centre))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """Along the covariance times the gradient."""
        along = self._along(gradient.double()) * self.variances.value.sqrt()
        along = along / along.abs().amax(1, keepdim=True).clamp_min(1e-300)
        length = along.norm(dim=1, keepdim=True).clamp_min(1e-300)
        return self._back(along / length * self.variances.value.sqrt() * self.eps[:, None]).to(gradient)

    def _along(self, change: Tensor) -> Tensor:
        """(B, n) a change's components along the axes."""
        flat = change.flatten(1)
        return flat if self.axes.value is None else flat @ self.axes.value

    def _back(self, along: Tensor) -> Tensor:
        flat = along if self.axes.value is None else along @ self.axes.value.T
        return flat.view_as(self.centre)

    def _onto(self, change: Tensor) -> Tensor:
        """The nearest change of the ellipsoid alone: components z / (1 + m / variance), for one m a row.

        One over their length rises with m and is concave, so that Newton's steps from 0 come up to m from one side.
        """
        z, variances = self._along(change), self.variances.value
        unit = z.square() / variances / self.eps.square()[:, None]
        m = torch.zeros_like(unit[:, :1])
        for _ in range(NEWTON):
            weight = unit / (1 + m / variances).square()
            square = weight.sum(1, keepdim=True)
            slope = (weight / (variances + m)).sum(1, keepdim=True).clamp_min(1e-300)
            step = ((square.sqrt() - 1) * square / slope).clamp_min(0)
            m = m + step
            if (step <= CLOSE * m).all():
                break
        return self._back(z / (1 + m / variances))

    def _onto_separate(self, change: Tensor, box: BoundBox, inside: Tensor) -> Tensor:
        """Where the axes are the coordinates', each of these goes to the box's end at most; m is bisected."""
        low, high = ((end.double() - self.centre.double()).flatten(1) for end in (box.low, box.high))
        z, variances, eps = change.flatten(1), self.variances.value, self.eps[:, None]

        def at(m: Tensor) -> Tensor:
            return (z / (1 + m / variances)).clamp(low, high)

        def over(m: Tensor) -> Tensor:
            return (at(m).square() / variances).sum(1, keepdim=True) > eps.square()

        first = torch.zeros_like(eps)
        last = variances.max() * ((z.square() / variances).sum(1, keepdim=True).sqrt() / eps)
        for _ in range(HALVINGS):
            middle = (first + last) / 2
            more = over(middle)
            first, last = torch.where(more, middle, first), torch.where(more, last, middle)
        return at(torch.where(over(torch.zeros_like(eps)), last, 0)).view_as(change)

    def _onto_both(self, change: Tensor, box: BoundBox, inside: Tensor) -> Tensor:
        low, high = (end.double() - self.centre.double() for end in (box.low, box.high))
        y, price = change.clamp(low, high), torch.zeros_like(change)
        # the price of a point far outside is as long as the way to it: the further it is, the longer the turns
        rho = column((norm(change) / (self.eps * self.variances.value.max().sqrt())).clamp_min(1), change)
        close = MET * self.eps * self.variances.value.max().sqrt()
        for _ in range(TURNS):
            near = self._onto((change + rho * (y - price)) / (1 + rho))
            last, y = y, (near + price).clamp(low, high)
            price = price + near - y
            off = torch.maximum((y - last).abs(), (y - near).abs()).flatten(1).amax(1)
            if (inside | (off <= close)).all():
                break
        return y


def _axes(given: Any, x: Tensor) -> tuple[Tensor | None, Tensor]:
    """The axes of a covariance and the variances along them, for rows like those of x.

    Raises:
        DomainError: it has another shape, or is not positive definite.
    """
    count = x[0].numel()
    try:
        matrix = torch.as_tensor(given, dtype=torch.float64, device=x.device)
    except (TypeError, ValueError, RuntimeError):
        raise DomainError(f"the covariance must be numbers, found {type(given).__name__}; pass a matrix") from None
    whole = matrix.shape == (count, count) and (count > 1 or matrix.dim() == 2)
    if not whole and matrix.numel() != count:
        raise DomainError(
            f"the covariance has shape {tuple(matrix.shape)}; expected ({count}, {count}) for rows of {count} numbers, "
            f"or {count} variances"
        )
    if not matrix.isfinite().all():
        raise DomainError("the covariance holds NaN or infinite values; expected finite numbers")
    if not whole:
        axes, variances = None, matrix.flatten()
    elif (matrix - matrix.T).abs().max() > 1e-9 * matrix.abs().max():
        raise DomainError("the covariance is not symmetric; expected a matrix that equals its transpose")
    else:
        variances, axes = torch.linalg.eigh((matrix + matrix.T) / 2)
    least, most = float(variances.min()), float(variances.max())
    if not least > 1e-13 * most:
        raise DomainError(
            f"the covariance is not positive definite: its variances go from {least:g} to {most:g}; add a little to "
            "its diagonal, or leave out what does not vary"
        )
    return axes, variances
