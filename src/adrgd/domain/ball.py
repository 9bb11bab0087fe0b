"""What balls in all norms have in common: how they are described, and when a point is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from adrgd.domain.box import BoundBox, Box, fit
from adrgd.domain.protocol import Value
from adrgd.errors import DomainError
from adrgd.rows import column

WIDER = 4.0  # than its scale is the noise of a ball that a box cuts: there a change may gather in few coordinates
TOLERANCE = 1e-6  # how far outside its box a centre may lie before it is an error; up to there it is clipped


def as_eps(given: object, name: str = "eps") -> Any:
    """A radius as a number, or as a tensor of one a row: "8/255", lists, and numbers and arrays of other libraries too.

    Raises:
        DomainError: it is no number and no fraction.
    """
    wrong = f"expected a number or a fraction such as 8/255 as {name}, found {given!r}"
    if isinstance(given, bool):
        raise DomainError(wrong)
    if isinstance(given, str):
        try:
            return float(Fraction(given.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            raise DomainError(wrong) from None
    single: Any = given
    if hasattr(single, "__float__") and getattr(single, "ndim", 0) == 0:
        return float(single)
    try:
        found = given if isinstance(given, Tensor) else torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise DomainError(wrong) from None
    return found.item() if found.numel() == 1 else found


@dataclass(frozen=True)
class Ball:
    """The points within `eps` of `centre` (B, ...), cut by `box` when one is given; eps is a number or (B,)."""

    centre: Tensor
    eps: Value
    box: Box | None = None

    def __post_init__(self) -> None:
        for name, value in ball_as_given(self.centre, self.eps, self.box).items():
            object.__setattr__(self, name, value)

    def fitted(self, x: Tensor) -> tuple[Tensor, Tensor, BoundBox | None]:
        """Check the ball against x (B, ...): its centre, moved into the box, its radii (B,), and the box."""
        return ball(self.centre, self.eps, self.box, x)


@dataclass(frozen=True)
class BoundBall(ABC):
    """Balls around `centre` (B, ...), of radius `eps` (B,) in float64, cut by `box`."""

    centre: Tensor
    eps: Tensor
    box: BoundBox | None

    @property
    @abstractmethod
    def scale(self) -> Tensor:
        """The natural length of each coordinate."""

    @property
    def noise(self) -> Tensor:
        return self.scale if self.box is None else WIDER * self.scale

    @abstractmethod
    def distance(self, x: Tensor) -> Tensor:
        """(B,) of each row from its centre, in float64."""

    def contains(self, x: Tensor) -> Tensor:
        within = self.distance(x) <= self.eps
        return within if self.box is None else within & self.box.contains(x)

    def pulled_in(self, x: Tensor) -> Tensor:
        """Rounding can leave a point a hair outside: pull it in by a few units in the last place until it is not."""
        step = torch.finfo(x.dtype).eps
        while (outside := ~(self.distance(x) <= self.eps)).any():
            pulled = self.centre + (x - self.centre) * (1 - step)
            x = torch.where(column(outside, x), pulled, x)
            step *= 2
            if step > 1:
                return torch.where(column(outside, x), self.centre, x)
        return x


def ball_as_given(centre: Any, eps: Any, box: Any, name: str = "eps") -> dict[str, Any]:
    """A ball's description in the forms it comes in: arrays, fractions, a pair of bounds; `name` is that of eps."""
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
    return {"centre": centre, "eps": as_eps(eps, name), "box": box}


def ball(centre: Tensor, eps: Value, box: Box | None, x: Tensor) -> tuple[Tensor, Tensor, BoundBox | None]:
    """Check a ball's description against x (B, ...): its centre, moved into the box, its radii (B,), and the box."""
    if not centre.is_floating_point():
        raise DomainError(f"the ball's centre is {centre.dtype}; expected floating-point numbers")
    middle = fit(centre, x, "the ball's centre").to(x)
    radius = torch.as_tensor(eps, dtype=torch.float64, device=x.device)
    if radius.dim() > 1 or (radius.dim() == 1 and len(radius) != len(x)):
        raise DomainError(
            f"eps has shape {tuple(radius.shape)}; expected one number, or one for each of {len(x)} rows"
            + ("; one for each channel or pixel is what LinfBall takes" if radius.dim() > 1 else "")
        )
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
