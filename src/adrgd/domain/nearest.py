"""The nearest points under linear rules, for a batch at once: an interior-point method in float64.

Rows share the rules and have bounds of their own. Each iteration solves one system as large as there are rules a row,
so that many rows together cost little more than one; a program for one point at a time (HiGHS, as in the tests) does
the same for each row in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ITERATIONS = 60
PATIENCE = 3  # iterations after which nothing comes any nearer: rules that no point obeys, or the end of float64
CENTRING = 0.1  # by which complementarity is to fall at each iteration
SHORT = 0.995  # of the way to the nearest bound
CLOSE = 1e-11  # of the problem's size: residuals and complementarity at the end


@dataclass(frozen=True)
class Linear:
    """a x <= b and c x = d, for all rows; a is (m, n) with rows of length one, and so is c, of full rank."""

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor


def nearest(x: Tensor, rules: Linear, low: Tensor, high: Tensor) -> Tensor:
    """The nearest points to x (B, n) that obey the rules, with low <= y <= high; where these are equal y is pinned."""
    middle, half = (low + high) / 2, (high - low) / 2
    unit = torch.maximum((x - middle).abs(), half).amax(1, keepdim=True).clamp_min(1e-300)
    a, c = rules.a, rules.c
    b = (rules.b - middle @ a.T) / unit
    d = (rules.d - middle @ c.T) / unit
    found = _Path((x - middle) / unit, half / unit, a, b, c, d).follow()
    return middle + unit * found


class _Path:
    """min |y - x|^2 / 2 under a y + s = b, c y = d and |y| <= half, from y = 0.

    Attributes:
        y: (B, n); s, price: (B, m) slacks and multipliers of a; free: (B, p) multipliers of c.
        up, down: (B, n) multipliers of the two bounds.
    """

    def __init__(self, x: Tensor, half: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> None:
        self.x, self.half, self.a, self.b, self.c, self.d = x, half, a, b, c, d
        self.pinned = half <= 1e-12
        self.y = torch.zeros_like(x)
        self.s = b.clamp_min(0.1)
        self.price, self.free = torch.full_like(b, 0.1), torch.zeros_like(d)
        self.up = torch.where(self.pinned, 0.0, 0.1)
        self.down = self.up.clone()

    def follow(self) -> Tensor:
        stalled = 0
        best, least = self.y, torch.full_like(self.y[:, 0], torch.inf)
        for _ in range(ITERATIONS):
            above, below = self._gaps()
            dual = self.y - self.x + self.price @ self.a + self.free @ self.c + self.up - self.down
            dual = torch.where(self.pinned, 0, dual)
            rule, equal = self.y @ self.a.T + self.s - self.b, self.y @ self.c.T - self.d
            products = [self.s * self.price, torch.where(self.pinned, 0, above * self.up + below * self.down)]
            count = self.s.shape[1] + 2 * (~self.pinned).sum(1, keepdim=True)
            gap = sum(part.sum(1, keepdim=True) for part in products) / count.clamp_min(1)
            worst = torch.cat([dual.abs(), rule.abs(), equal.abs(), gap], 1).amax(1)
            nearer = worst < least  # rows that were done early lose their digits, and then are no numbers
            best, least = torch.where(nearer[:, None], self.y, best), torch.where(nearer, worst, least)
            stalled = 0 if nearer.any() else stalled + 1
            if (least <= CLOSE).all() or stalled > PATIENCE:
                break
            self._step(dual, rule, equal, gap * CENTRING, above, below)
        return best

    def _gaps(self) -> tuple[Tensor, Tensor]:
        return tuple(torch.where(self.pinned, 1.0, self.half - sign * self.y) for sign in (1, -1))  # type: ignore[return-value]

    def _step(self, dual: Tensor, rule: Tensor, equal: Tensor, goal: Tensor, above: Tensor, below: Tensor) -> None:
        weight = torch.where(self.pinned, 0, 1 / (1 + self.up / above + self.down / below))
        right = -dual - (goal / above - self.up) + (goal / below - self.down)
        ratio = self.s / self.price
        both = torch.cat([self.a, self.c])
        system = (both * weight[:, None]) @ both.T
        loose = torch.cat([ratio, torch.zeros_like(equal)], 1)
        system = system + torch.diag_embed(loose + 1e-14 * (1 + system.diagonal(dim1=1, dim2=2)))
        second = torch.cat([-rule + self.s - goal / self.price, -equal], 1)
        target = (weight * right) @ both.T - second
        turn: Any = torch.linalg.solve_ex(system, target).result
        move = weight * (right - turn @ both)
        m = self.s.shape[1]
        price, free = turn[:, :m], turn[:, m:]
        slack = -rule - move @ self.a.T
        up = goal / above - self.up + self.up / above * move
        down = goal / below - self.down - self.down / below * move
        up, down = (torch.where(self.pinned, 0, part) for part in (up, down))
        # one length for all of them: the dual residual holds y as well
        far = _far(
            [(self.s, slack), (above, -move), (below, move), (self.price, price), (self.up, up), (self.down, down)]
        )
        self.y, self.s = self.y + far * move, self.s + far * slack
        self.price, self.free = self.price + far * price, self.free + far * free
        self.up, self.down = self.up + far * up, self.down + far * down


def _far(parts: list[tuple[Tensor, Tensor]]) -> Tensor:
    """(B, 1) the share of these moves after which all values are positive still."""
    shares = [torch.where(move < 0, -value / move, torch.inf) for value, move in parts]
    least = torch.cat([share.flatten(1) for share in shares], 1).amin(1, keepdim=True)
    return (SHORT * least).clamp_max(1.0)
