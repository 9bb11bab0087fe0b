"""What has to be refuted for an image to be certified, and the network that this is about."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from adrgd.attacks.threat import Threat
from adrgd.bounds.backward import Boxes
from adrgd.bounds.balls import Ball
from adrgd.bounds.network import Network
from adrgd.bounds.reading import read_network
from adrgd.proof.claims import Claims


def network_of(model: nn.Module, image: Tensor) -> Network:
    """The model as its bounds see it, in float64 on the processor; `image` (...) is any of its inputs.

    Raises:
        NoBoundsError: it has activations or operators without bounds.
    """
    return read_network(copy.deepcopy(model).cpu().double(), image[None].detach().cpu().double())


def ball(threat: Threat, image: Tensor) -> tuple[Tensor, Tensor]:
    """Corners (n,) of a box that holds the image's whole ball, in float64; the threat's norm is linf, l2 or l1."""
    clean = image.detach().cpu().double().flatten()
    low, high = clean - threat.eps, clean + threat.eps
    if threat.range is not None:
        low, high = low.clamp(min=threat.range[0]), high.clamp(max=threat.range[1])
    infinity = torch.full_like(low, torch.inf)
    return torch.nextafter(low, -infinity), torch.nextafter(high, infinity)


def claims_of(
    classes: int, threat: Threat, image: Tensor, label: int, target: int | None, among: list[int] | None = None
) -> Claims:
    """For each other class, that its logit reaches the label's; or that the target's reaches all others.

    Args:
        among: of the other classes, those that are asked for; all unless given.
    """
    low, high = ball(threat, image)
    above = torch.eye(classes, dtype=torch.float64)
    if target is None:
        others = [k for k in range(classes) if k != label] if among is None else among
        rows = (above[label] - above)[others][:, None]
    else:
        rows = (above - above[target])[torch.arange(classes) != target][None]
    count = len(rows)
    around = None
    if threat.norm in ("l2", "l1"):
        around = Ball(threat.norm, image.detach().cpu().double().flatten().expand(count, -1), threat.eps)
    return Claims(
        Boxes(low.expand(count, -1), high.expand(count, -1), around), rows, None,
        torch.zeros(rows.shape[:2], dtype=torch.float64), torch.ones(rows.shape[:2], dtype=torch.bool),
    )  # fmt: skip
