"""The norms by name: how a change is measured in each, its ball, and how far across a box reaches in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from adrgd.domain.ball import Ball
from adrgd.domain.box import Box
from adrgd.domain.l0 import L0Ball
from adrgd.domain.l1 import L1Ball
from adrgd.domain.l2 import L2Ball
from adrgd.domain.linf import LinfBall
from adrgd.domain.protocol import Domain, Value
from adrgd.errors import UsageError
from adrgd.names import Norm


@dataclass(frozen=True)
class Kind:
    """What differs by norm.

    Attributes:
        ball: its class; it takes a centre, a radius and a box.
        order: of torch's vector norm.
        across: how far a box of sides 1 in so many dimensions reaches.
    """

    ball: type[Ball | L0Ball]
    order: float
    across: Callable[[int], float]


NORMS: dict[Norm, Kind] = {
    "linf": Kind(LinfBall, torch.inf, lambda n: 1.0),
    "l2": Kind(L2Ball, 2, lambda n: n**0.5),
    "l1": Kind(L1Ball, 1, float),
    "l0": Kind(L0Ball, 0, float),
}


def as_norm(given: object) -> Norm:
    """Our name of the norms "linf", "Linf", "inf", infinity, "l2", "L2", 2 and their kin.

    Raises:
        UsageError: another norm.
    """
    norms: dict[str, Norm] = {"linf": "linf", "inf": "linf"}
    for number in get_args(Norm)[1:]:
        norms |= {number: number, number[1:]: number, f"{number[1:]}.0": number}
    try:
        return norms[str(given).lower()]
    except KeyError:
        raise UsageError(f"unknown norm {given!r}; expected linf, l2, l1 or l0") from None


def norm_of(ball: Ball) -> Norm | None:
    """The norm whose ball this is; None where it has no name."""
    return next((name for name, kind in NORMS.items() if isinstance(ball, kind.ball)), None)


def ball(norm: Norm, centre: Tensor, eps: Value, box: Box | None) -> Domain:
    """The points within eps of the centre (B, ...); in l0, pixels are counted where rows are images (B, C, ...)."""
    more: dict[str, Any] = {"pixels": centre.dim() > 2} if norm == "l0" else {}
    kind: Any = NORMS[norm].ball
    return kind(centre, eps, box, **more)  # type: ignore[no-any-return]


def distance(norm: Norm, x: Tensor, centre: Tensor) -> Tensor:
    """(B,) the size of each row's change in float64; in l0, pixels are counted where rows are images (B, C, ...)."""
    change = x.double() - centre.double()
    if norm == "l0" and x.dim() > 2:
        change = change.abs().amax(1)
    lengths: Tensor = torch.linalg.vector_norm(change.flatten(1), NORMS[norm].order, dim=1)
    return lengths


def across(norm: Norm, width: float, shape: torch.Size) -> float:
    """How large a change of rows of this shape can be at all, within a box whose sides are `width` long."""
    if norm == "l0":
        return float(shape[1:].numel() if len(shape) > 1 else shape.numel())
    return width * NORMS[norm].across(shape.numel())
