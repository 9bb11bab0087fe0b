"""A ball in the Euclidean length of a change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.domain.ball import Ball, BoundBall
from adrgd.rows import RowRandom, column, norm


@dataclass(frozen=True)
class L2Ball(Ball):
    """||x - centre|| <= eps in the Euclidean norm of a row, cut by `box` when one is given; eps is a number or (B,)."""

    def bind(self, x: Tensor) -> BoundL2Ball:
        centre, eps, box = self.fitted(x)
        return BoundL2Ball(centre, eps, box)


@dataclass(frozen=True)
class BoundL2Ball(BoundBall):
    """Balls in the Euclidean norm around `centre` (B, ...), of radius `eps` (B,) in float64, cut by `box`."""

    @property
    def scale(self) -> Tensor:
        # Gaussian noise of this deviation in every coordinate has about the ball's radius as its length.
        return column(self.eps / self.centre[0].numel() ** 0.5, self.centre).to(self.centre)

    def project(self, x: Tensor) -> Tensor:
        shrunk = self._shrink(x)
        if self.box is None:
            pulled = self.centre + (x - self.centre) * column(shrunk, x)
            return self.pulled_in(torch.where(column(self.contains(x), x), x, pulled))
        # The nearest point of ball and box is the box projection of a point between centre and x: find how far along,
        # from where the ball alone would put it, by bisecting the logarithm, so that it is as precise for x far away.
        near, far = shrunk, torch.ones_like(shrunk)
        inside = self.contains(self.box.project(x))
        for _ in range(30):
            middle = (near * far).sqrt()
            fits = self.distance(self.box.project(torch.lerp(self.centre, x, column(middle, x)))) <= self.eps
            near, far = torch.where(fits, middle, near), torch.where(fits, far, middle)
        share = torch.where(inside, 1.0, near)
        return self.pulled_in(self.box.project(torch.lerp(self.centre, x, column(share, x))))

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        shape = tuple(self.centre.shape[1:])
        direction = random.normal(shape, label + " direction", dtype=self.centre.dtype)
        share = random.uniform((), label + " radius", dtype=self.centre.dtype) ** (1 / self.centre[0].numel())
        return self.project(self.centre + self.steepest(direction) * column(share, self.centre))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        # scaled first, so that squares neither overflow nor vanish; a zero gradient stays zero
        largest = gradient.flatten(1).abs().amax(1)
        scaled = gradient / column(torch.where(largest > 0, largest, 1), gradient)
        return scaled * column(self.eps.to(gradient) / norm(scaled).clamp_min(1), gradient)

    def distance(self, x: Tensor) -> Tensor:
        return norm(x.double() - self.centre.double())

    def _shrink(self, x: Tensor) -> Tensor:
        return (self.eps / self.distance(x).clamp_min(1e-300)).clamp_max(1).to(x)
