"""Where inputs may be: a box, a ball in the largest or the Euclidean norm, a ball cut by a box, or everywhere.

A domain is first described (numbers or tensors, for all rows or one row each) and then *bound* to a batch by
`domain.bind(x0)`, which checks every shape and value. The bound domain projects, samples and gives steepest directions
row by row. `contains` is evaluated in float64 on the given numbers without any tolerance, and every projected point
passes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from adrgd.errors import DomainError
from adrgd.rows import RowRandom, column, norm

TOLERANCE = 1e-6  # how far outside its box a centre may lie before it is an error; up to there it is clipped

Value = float | Tensor


def as_eps(given: object) -> Any:
    """A radius as a number, or as a tensor of one a row: "8/255", lists, and numbers and arrays of other libraries too.

    Raises:
        DomainError: it is no number and no fraction.
    """
    if isinstance(given, str):
        try:
            return float(Fraction(given.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            raise DomainError(f"expected a number or a fraction such as 8/255 as eps, found {given!r}") from None
    single: Any = given
    if hasattr(single, "__float__") and getattr(single, "ndim", 0) == 0:
        return float(single)
    try:
        found = given if isinstance(given, Tensor) else torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise DomainError(f"expected a number or a fraction such as 8/255 as eps, found {given!r}") from None
    return found.item() if found.numel() == 1 else found


class BoundDomain(Protocol):
    """A domain with one row for each row of a batch."""

    @property
    def scale(self) -> Tensor:
        """The natural length of each coordinate: probes are drawn with this standard deviation. Broadcasts to x."""

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the domain for each row."""

    def contains(self, x: Tensor) -> Tensor:
        """(B,) whether each row lies inside, exactly."""

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        """One point a row, uniform over the box or the ball, then projected."""

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        """The move of one radius along which a linear function with this gradient grows fastest.

        `at` (B, ...), inside, is where it starts: balls whose moves are sparse leave out what cannot go further there.
        """


class Domain(Protocol):
    """A description that can be bound to a batch."""

    def bind(self, x: Tensor) -> BoundDomain:
        """Check that it fits x (B, ...) and return it with one row each.

        Raises:
            DomainError: wrong shape, not a number, empty, or a centre outside its box.
        """


@dataclass(frozen=True)
class Box:
    """lower <= x <= upper, coordinate by coordinate; numbers, or tensors that broadcast to x."""

    lower: Value
    upper: Value

    def bind(self, x: Tensor) -> BoundBox:
        low, high = _fit(self.lower, x, "lower"), _fit(self.upper, x, "upper")
        if (low > high).any():
            at = int((low > high).flatten().nonzero()[0])
            raise DomainError(
                f"the box is empty: expected lower <= upper, found lower {low.flatten()[at].item():g} above upper "
                f"{high.flatten()[at].item():g}; swap or correct the bounds"
            )
        low, high = (bound.to(x).expand_as(x) for bound in (round_up(low, x.dtype), round_down(high, x.dtype)))
        if (low > high).any():
            raise DomainError(f"the box holds no {x.dtype} number; widen it, or use torch.float64")
        return BoundBox(low, high, (high - low) / 2)


@dataclass(frozen=True)
class LinfBall:
    """|x - centre| <= eps in every coordinate, cut by `box` when one is given; eps is a number or (B,)."""

    centre: Tensor
    eps: Value
    box: Box | None = None

    def __post_init__(self) -> None:
        for name, value in ball_as_given(self.centre, self.eps, self.box).items():
            object.__setattr__(self, name, value)

    def bind(self, x: Tensor) -> BoundBox:
        centre, eps, box = ball(self.centre, self.eps, self.box, x)
        exact, reach = centre.double(), column(eps, x)
        low, high = round_up(exact - reach, x.dtype), round_down(exact + reach, x.dtype)
        # centre -+ eps was itself rounded: step inwards where the distance, evaluated again, is more than eps
        low = torch.where(exact - low.double() > reach, torch.nextafter(low, torch.full_like(low, torch.inf)), low)
        high = torch.where(
            high.double() - exact > reach, torch.nextafter(high, torch.full_like(high, -torch.inf)), high
        )
        if box is not None:
            low, high = torch.maximum(low, box.low), torch.minimum(high, box.high)
        return BoundBox(low, high, column(eps, x).to(x).expand_as(x))


@dataclass(frozen=True)
class L2Ball:
    """||x - centre|| <= eps in the Euclidean norm of a row, cut by `box` when one is given; eps is a number or (B,)."""

    centre: Tensor
    eps: Value
    box: Box | None = None

    def __post_init__(self) -> None:
        for name, value in ball_as_given(self.centre, self.eps, self.box).items():
            object.__setattr__(self, name, value)

    def bind(self, x: Tensor) -> BoundL2Ball:
        centre, eps, box = ball(self.centre, self.eps, self.box, x)
        return BoundL2Ball(centre, eps, box)


@dataclass(frozen=True)
class Everywhere:
    """No bounds. `spread` is the natural length of a coordinate: starts are normal with this standard deviation."""

    spread: float = 1.0

    def bind(self, x: Tensor) -> BoundEverywhere:
        if not 0 < self.spread < float("inf"):
            raise DomainError(f"the spread of an unbounded domain must be positive and finite, found {self.spread:g}")
        return BoundEverywhere(torch.full_like(x, self.spread))


@dataclass(frozen=True)
class BoundEverywhere:
    """All of space; `scale` (B, ...) is the natural length of each coordinate."""

    scale: Tensor

    def project(self, x: Tensor) -> Tensor:
        return x

    def contains(self, x: Tensor) -> Tensor:
        return x.isfinite().flatten(1).all(1)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        return random.normal(tuple(self.scale.shape[1:]), label, dtype=self.scale.dtype) * self.scale

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        return gradient.sign() * self.scale


@dataclass(frozen=True)
class BoundBox:
    """Boxes and balls in the largest norm; `reach` (B, ...) is the half-width, or eps for a ball."""

    low: Tensor
    high: Tensor
    reach: Tensor

    @property
    def scale(self) -> Tensor:
        return self.reach

    def project(self, x: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(x, self.low), self.high)

    def contains(self, x: Tensor) -> Tensor:
        return ((x >= self.low) & (x <= self.high)).flatten(1).all(1)

    def sample(self, random: RowRandom, label: str = "start") -> Tensor:
        u = random.uniform(tuple(self.low.shape[1:]), label, dtype=self.low.dtype)
        return self.project(self.low + u * (self.high - self.low))

    def steepest(self, gradient: Tensor, at: Tensor | None = None) -> Tensor:
        return gradient.sign() * self.reach


@dataclass(frozen=True)
class BoundL2Ball:
    """Balls in the Euclidean norm around `centre` (B, ...), of radius `eps` (B,) in float64, cut by `box`."""

    centre: Tensor
    eps: Tensor
    box: BoundBox | None

    @property
    def scale(self) -> Tensor:
        # Gaussian noise of this deviation in every coordinate has about the ball's radius as its length.
        return column(self.eps / self.centre[0].numel() ** 0.5, self.centre).to(self.centre)

    def project(self, x: Tensor) -> Tensor:
        shrunk = self._shrink(x)
        if self.box is None:
            pulled = self.centre + (x - self.centre) * column(shrunk, x)
            return self._inside(torch.where(column(self.contains(x), x), x, pulled))
        # The nearest point of ball and box is the box projection of a point between centre and x: find how far along,
        # from where the ball alone would put it, by bisecting the logarithm, so that it is as precise for x far away.
        near, far = shrunk, torch.ones_like(shrunk)
        inside = self.contains(self.box.project(x))
        for _ in range(30):
            middle = (near * far).sqrt()
            fits = self._distance(self.box.project(torch.lerp(self.centre, x, column(middle, x)))) <= self.eps
            near, far = torch.where(fits, middle, near), torch.where(fits, far, middle)
        share = torch.where(inside, 1.0, near)
        return self._inside(self.box.project(torch.lerp(self.centre, x, column(share, x))))

    def contains(self, x: Tensor) -> Tensor:
        within = self._distance(x) <= self.eps
        return within if self.box is None else within & self.box.contains(x)

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

    def _distance(self, x: Tensor) -> Tensor:
        return norm(x.double() - self.centre.double())

    def _shrink(self, x: Tensor) -> Tensor:
        return (self.eps / self._distance(x).clamp_min(1e-300)).clamp_max(1).to(x)

    def _inside(self, x: Tensor) -> Tensor:
        return pulled_in(x, self.centre, self.eps, self._distance)


def pulled_in(x: Tensor, centre: Tensor, eps: Tensor, distance: Callable[[Tensor], Tensor]) -> Tensor:
    """Rounding can leave a point a hair outside: pull it in by a few units in the last place until it is not."""
    step = torch.finfo(x.dtype).eps
    while (outside := ~(distance(x) <= eps)).any():
        pulled = centre + (x - centre) * (1 - step)
        x = torch.where(column(outside, x), pulled, x)
        step *= 2
        if step > 1:
            return torch.where(column(outside, x), centre, x)
    return x


def _fit(value: Value, x: Tensor, name: str) -> Tensor:
    """`value` as a float64 tensor of x's shape."""
    try:
        bound = torch.as_tensor(value, dtype=torch.float64, device=x.device)
    except (TypeError, ValueError, RuntimeError):
        raise DomainError(f"{name} must be a number or numbers, found {value!r}; correct it") from None
    try:
        bound = bound.broadcast_to(x.shape)
    except RuntimeError:
        raise DomainError(
            f"{name} has shape {tuple(bound.shape)}; expected one that broadcasts to the inputs' {tuple(x.shape)}"
        ) from None
    if bound.isnan().any() or (bound.isinf().any()):
        raise DomainError(f"{name} holds NaN or infinite values; expected finite bounds")
    return bound


def ball_as_given(centre: Any, eps: Any, box: Any) -> dict[str, Any]:
    """A ball's description in the forms it comes in: arrays, fractions, a pair of bounds."""
    if not isinstance(centre, Tensor):
        try:
            centre = torch.as_tensor(centre)
        except (TypeError, ValueError, RuntimeError):
            raise DomainError(
                f"the ball's centre must be a tensor or an array, found {type(centre).__name__}; pass the inputs x0"
            ) from None
    if isinstance(box, tuple) and len(box) == 2:
        box = Box(*box)
    if box is not None and not isinstance(box, Box):
        raise DomainError(f"the ball's box must be a Box such as Box(0, 1), found {box!r}; correct it")
    return {"centre": centre, "eps": as_eps(eps), "box": box}


def ball(centre: Tensor, eps: Value, box: Box | None, x: Tensor) -> tuple[Tensor, Tensor, BoundBox | None]:
    """Check a ball's description against x (B, ...): its centre, moved into the box, its radii (B,), and the box."""
    if not centre.is_floating_point():
        raise DomainError(f"the ball's centre is {centre.dtype}; expected floating-point numbers")
    middle = _fit(centre, x, "the ball's centre").to(x)
    radius = torch.as_tensor(eps, dtype=torch.float64, device=x.device)
    if radius.dim() > 1 or (radius.dim() == 1 and len(radius) != len(x)):
        raise DomainError(f"eps has shape {tuple(radius.shape)}; expected one number, or one for each of {len(x)} rows")
    radius = radius.expand(len(x))
    if not ((radius > 0) & radius.isfinite()).all():
        worst = radius[~((radius > 0) & radius.isfinite())][0].item()
        raise DomainError(f"eps must be positive and finite, found {worst:g}")
    if box is None:
        return middle, radius, None
    bound = box.bind(x)
    excess = torch.maximum(bound.low - middle, middle - bound.high).max().item()
    if excess > TOLERANCE:
        raise DomainError(
            f"the ball's centre leaves its box by {excess:g}; expected values between {bound.low.min().item():g} and "
            f"{bound.high.max().item():g}, found {middle.min().item():g} to {middle.max().item():g}; rescale the inputs"
        )
    return bound.project(middle), radius, bound


def round_down(bound: Tensor, dtype: torch.dtype) -> Tensor:
    """The largest number of `dtype` at most `bound`."""
    rounded = bound.to(dtype)
    below = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
    return torch.where(rounded.double() > bound, below, rounded)


def round_up(bound: Tensor, dtype: torch.dtype) -> Tensor:
    """The smallest number of `dtype` at least `bound`."""
    return -round_down(-bound, dtype)
