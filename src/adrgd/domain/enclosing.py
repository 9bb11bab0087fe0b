"""The smallest box around a domain, coordinate by coordinate."""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.domain.ball import BoundBall
from adrgd.domain.box import BoundBox
from adrgd.domain.ellipsoid import BoundEllipsoid
from adrgd.domain.patch import BoundPatch
from adrgd.domain.polytope import BoundPolytope
from adrgd.domain.protocol import BoundDomain, relaxed

WIDER = 1 + 1e-12  # for the rounding of distances


def enclosing(domain: BoundDomain) -> tuple[Tensor, Tensor] | None:
    """Corners (B, ...) in float64 between which all points of a domain lie; None where they are not known."""
    domain = relaxed(domain)
    if isinstance(domain, BoundPolytope | BoundPatch):
        domain = domain.box
    if isinstance(domain, BoundBox):
        return domain.low.double(), domain.high.double()
    if not isinstance(domain, BoundBall):
        return None
    centre = domain.centre.double()
    reach = WIDER * domain.eps.double().view(-1, *[1] * (centre.dim() - 1)).expand_as(centre)
    if isinstance(domain, BoundEllipsoid):
        axes, variances = domain.axes.value, domain.variances.value
        each = variances if axes is None else (axes.square() * variances).sum(1)
        reach = reach * each.sqrt().view(centre.shape[1:])
    infinity = torch.full_like(centre, torch.inf)
    low, high = torch.nextafter(centre - reach, -infinity), torch.nextafter(centre + reach, infinity)
    if domain.box is None:
        return low, high
    return torch.maximum(low, domain.box.low.double()), torch.minimum(high, domain.box.high.double())
