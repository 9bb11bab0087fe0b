"""How x moves, given a direction of growth; each rule in a few lines, with a schedule for its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from adrgd.rows import column, norm
from adrgd.settings import settle_fields
from adrgd.solvers.solver import Problem

Schedule = Literal["constant", "linear", "power"]


@dataclass(frozen=True, kw_only=True)
class _Scheduled:
    """A rule whose length changes over the run.

    Attributes:
        schedule: "constant"; "linear", falling to zero at the end; "power", the linear one to the given power.
        power: the exponent of the schedule "power".
    """

    schedule: Schedule = "constant"
    power: float = 2.0

    def __post_init__(self) -> None:
        settle_fields(self)

    def decay(self, problem: Problem, t: int) -> float:
        """The share of the first length at iteration t = 0 .. steps - 1."""
        left = 1 - t / problem.steps
        return float({"constant": 1.0, "linear": left, "power": left**self.power}[self.schedule])

    def start(self, problem: Problem, x: Tensor) -> object:
        return None


@dataclass(frozen=True, kw_only=True)
class Steepest(_Scheduled):
    """The domain's own steepest step: the sign of the gradient on a box, its direction on a Euclidean ball.

    Attributes:
        length: of the first step, in radii of the domain.
    """

    length: float = 0.25
    schedule: Schedule = "linear"

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: object, t: int) -> tuple[Tensor, object]:
        return torch.add(x, problem.domain.steepest(gradient, x), alpha=self.length * self.decay(problem, t)), None


@dataclass(frozen=True, kw_only=True)
class Euclidean(_Scheduled):
    """Along the gradient itself, as far as the domain's natural lengths of all coordinates together.

    In a ball whose steepest steps move few coordinates, these move all, and fit the sizes of the changes to each other.

    Attributes:
        length: of the first step, in radii of the domain.
    """

    length: float = 1.0
    schedule: Schedule = "linear"

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: object, t: int) -> tuple[Tensor, object]:
        reach = norm(problem.domain.scale.expand_as(x)) * self.length * self.decay(problem, t)
        return x + unit(gradient) * column(reach, x), None


FROM_TWO_RADII = Steepest(length=2.0, schedule="linear")
"""The steps that every gate rule is given unless told otherwise, so that only the gates differ."""


@dataclass(frozen=True, kw_only=True)
class GradientStep(_Scheduled):
    """x + rate * gradient: plain gradient ascent.

    Attributes:
        rate: multiplies the gradient as it is.
    """

    rate: float = 0.1

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: object, t: int) -> tuple[Tensor, object]:
        return torch.add(x, gradient, alpha=self.rate * self.decay(problem, t)), None


@dataclass(frozen=True, kw_only=True)
class Normalised(_Scheduled):
    """x + length * gradient / ||gradient||, row by row; a zero gradient moves nothing.

    Attributes:
        length: in the units of x.
        least: a shorter gradient is divided by this instead of its norm; 1 leaves it as it is.
    """

    length: float = 0.1
    least: float = 0.0

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: object, t: int) -> tuple[Tensor, object]:
        return torch.add(x, unit(gradient, self.least), alpha=self.length * self.decay(problem, t)), None


@dataclass(frozen=True, kw_only=True)
class Momentum(_Scheduled):
    """The steepest step along a decaying sum of L1-normalised gradients (Dong et al. 2018).

    Attributes:
        length: of the first step, in radii of the domain.
        decay_rate: what is kept of the sum at each iteration.
    """

    length: float = 0.25
    decay_rate: float = 0.9
    schedule: Schedule = "linear"

    def start(self, problem: Problem, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: Tensor, t: int) -> tuple[Tensor, Tensor]:
        size = gradient.flatten(1).abs().sum(1).clamp_min(torch.finfo(x.dtype).tiny)
        state = self.decay_rate * state + gradient / column(size, gradient)
        return torch.add(x, problem.domain.steepest(state, x), alpha=self.length * self.decay(problem, t)), state


@dataclass(frozen=True)
class AdamState:
    first: Tensor
    second: Tensor


@dataclass(frozen=True, kw_only=True)
class Adam(_Scheduled):
    """Adam (Kingma & Ba 2015) in the domain's own units.

    Attributes:
        rate: in radii of the domain.
        beta1, beta2: what is kept of the running means of the gradient and of its square.
        tiny: added to the root of the second mean.
    """

    rate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.999
    tiny: float = 1e-8

    def start(self, problem: Problem, x: Tensor) -> AdamState:
        return AdamState(torch.zeros_like(x), torch.zeros_like(x))

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: AdamState, t: int) -> tuple[Tensor, AdamState]:
        scaled = gradient * problem.domain.scale
        first = torch.lerp(scaled, state.first, self.beta1)
        second = torch.lerp(scaled.square(), state.second, self.beta2)
        mean, spread = first / (1 - self.beta1 ** (t + 1)), second / (1 - self.beta2 ** (t + 1))
        direction = mean / (spread.sqrt() + self.tiny)
        rate = self.rate * self.decay(problem, t)
        return x + rate * direction * problem.domain.scale, AdamState(first, second)


@dataclass(frozen=True, kw_only=True)
class NoisyNormalised(_Scheduled):
    """Normalised gradient with noise at every step: Saddle-NGD (Levy 2016, algorithm 3).

    Attributes:
        length: of the gradient part, in the units of x.
        noise: length of the noise relative to the gradient part, uniform on the sphere.
    """

    length: float = 0.1
    noise: float = 0.3

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: object, t: int) -> tuple[Tensor, object]:
        xi = unit(problem.random.normal(tuple(x.shape[1:]), "levy", t, x.dtype))
        return torch.add(x, unit(gradient) + self.noise * xi, alpha=self.length * self.decay(problem, t)), None


@dataclass(frozen=True, kw_only=True)
class Perturbed(_Scheduled):
    """Perturbed gradient ascent (Jin et al. 2017, algorithm 1): a random kick where the gradient is small.

    Attributes:
        rate: multiplies the gradient (or its direction, see `normalise`).
        normalise: step along gradient / ||gradient||.
        threshold: kick when the gradient's norm is at most this.
        radius: of the ball that the kick is drawn from, in the units of x.
        every: at least this many iterations between kicks.
    """

    rate: float = 0.1
    normalise: bool = True
    threshold: float = 1e-3
    radius: float = 0.1
    every: int = 10

    def start(self, problem: Problem, x: Tensor) -> Tensor:
        return torch.full((len(x),), -self.every - 1, device=x.device)

    def move(self, problem: Problem, x: Tensor, gradient: Tensor, state: Tensor, t: int) -> tuple[Tensor, Tensor]:
        due = self.due(gradient, state, t)
        kick = ball_noise(problem, x, self.radius, t)
        x = x + torch.where(column(due, x), kick, 0)
        return torch.add(x, self.direction(gradient), alpha=self.rate * self.decay(problem, t)), torch.where(
            due, t, state
        )

    def due(self, gradient: Tensor, last_kick: Tensor, t: int) -> Tensor:
        """(B,) which rows are kicked: a small gradient, and long enough since the last kick."""
        return (norm(gradient) <= self.threshold) & (t - last_kick > self.every)

    def direction(self, gradient: Tensor) -> Tensor:
        """What the rate multiplies."""
        return unit(gradient) if self.normalise else gradient


@dataclass(frozen=True)
class Visited:
    last_kick: Tensor
    points: Tensor


@dataclass(frozen=True, kw_only=True)
class OccupationTime(Perturbed):
    """Perturbed gradient ascent with occupation time (Guo, Han & Tang 2020): kicks lean away from where x has been.

    For each coordinate the last `window` points are counted on the left and on the right of x; the kick goes left with
    probability w(right) / (w(left) + w(right)), where w(k) = 1 + k^order.

    Attributes:
        window: how many past points count.
        order: the exponent of the weights.
    """

    window: int = 20
    order: float = 1.0

    def start(self, problem: Problem, x: Tensor) -> Visited:  # type: ignore[override]
        return Visited(super().start(problem, x), x[:, None].expand(-1, self.window, *x.shape[1:]).clone())

    def move(  # type: ignore[override]
        self, problem: Problem, x: Tensor, gradient: Tensor, state: Visited, t: int
    ) -> tuple[Tensor, Visited]:
        due = self.due(gradient, state.last_kick, t)
        left, right = ((state.points < x[:, None]).sum(1), (state.points > x[:, None]).sum(1))
        weight_left, weight_right = 1 + left**self.order, 1 + right**self.order
        u = problem.random.uniform(tuple(x.shape[1:]), "side", t, x.dtype)
        side = torch.where(u < weight_right / (weight_left + weight_right), -1.0, 1.0)
        kick = side * ball_noise(problem, x, self.radius, t).abs()
        ascent = self.rate * self.decay(problem, t) * self.direction(gradient)
        new = x + torch.where(column(due, x), kick, 0) + ascent
        points = state.points.clone()
        points[:, t % self.window] = x
        return new, Visited(torch.where(due, t, state.last_kick), points)


def unit(gradient: Tensor, least: float = 0.0) -> Tensor:
    """gradient / ||gradient||, row by row, or divided by `least` where the norm is below it; zero stays zero."""
    return gradient / column(norm(gradient).clamp_min(max(least, torch.finfo(gradient.dtype).tiny)), gradient)


def ball_noise(problem: Problem, x: Tensor, radius: float, t: int) -> Tensor:
    """One point a row, uniform in the Euclidean ball of that radius."""
    direction = unit(problem.random.normal(tuple(x.shape[1:]), "kick", t, x.dtype))
    share = problem.random.uniform((), "kick length", t, x.dtype) ** (1 / x[0].numel())
    return radius * direction * column(share, x)
