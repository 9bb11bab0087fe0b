"""What looks like a mistake of units: a ball that holds everything, images of 0 to 255 without a box."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adrgd.domain import Ball, Discrete, Norm, Polytope, across, norm_of
from adrgd.errors import warn

GREY = 16.0  # images in units of their spread stay below, those of 0 to 255 do not


def warn_of_reach(eps: float, width: float, shape: torch.Size, norm: Norm) -> None:
    """Say that a ball of this radius holds the whole box, whose sides are `width` long, for rows of this shape.

    Numbers of coordinates have no unit to mistake.
    """
    whole = across(norm, width, shape)
    if norm != "l0" and width > 0 and eps >= whole:
        warn(
            f"eps {eps:g} reaches across the whole range of {whole:g}, so that every input is allowed; for images in "
            "[0, 1] the eps of 8 grey levels is 8/255"
        )


def warn_of_grey(x: Tensor) -> None:
    """Say that images without a box look like those of 0 to 255."""
    if x.dim() >= 3 and GREY < x.max() <= 255 and x.min() >= 0:
        warn(
            f"x0 has no box and values from {x.min().item():g} to {x.max().item():g}, as images of 0 to 255: give its "
            "ball the box of valid inputs, box=Box(0, 255), or divide by 255 if the model was trained so"
        )


def warn_of_units(domain: Any, x0: Tensor) -> None:
    """Say what looks like a mistake of units in a ball around x0 (B, ...)."""
    if not isinstance(domain, Ball):
        return
    if domain.box is None:
        warn_of_grey(x0)
    elif (norm := norm_of(domain)) is not None:
        width = float((torch.as_tensor(domain.box.upper) - torch.as_tensor(domain.box.lower)).max())
        warn_of_reach(float(torch.as_tensor(domain.eps).min()), width, x0.shape[1:], norm)


def warn_of_start(domain: Any, outside: Tensor) -> None:
    """Say that rows of x0 break the rules of a domain, where these are more than bounds; outside (B,) says which."""
    if isinstance(domain, Polytope | Discrete) and outside.any():
        warn(
            f"{int(outside.sum())} of {len(outside)} starting points break the domain's rules, row "
            f"{int(outside.nonzero()[0])} the first: the search begins at the nearest point that obeys them"
        )
