"""Images moved and mirrored, as a network for natural images is usually trained on them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.rows import RowRandom

REACH = 4  # pixels


def shift(x: Tensor, random: RowRandom) -> Tensor:
    """Images (B, C, H, W), each moved by up to `REACH` pixels along both axes; what comes in at a border is zero."""
    height, width = x.shape[-2:]
    down, right = (random.uniform((2,), "shift") * (2 * REACH + 1)).long().unbind(1)
    rows = down[:, None] + torch.arange(height, device=x.device)
    columns = right[:, None] + torch.arange(width, device=x.device)
    row = torch.arange(len(x), device=x.device)[:, None, None]
    moved = F.pad(x, (REACH,) * 4)[row, :, rows[:, :, None], columns[:, None, :]]
    return moved.movedim(-1, 1).contiguous()


def shift_and_mirror(x: Tensor, random: RowRandom) -> Tensor:
    """The same, and every other image with left and right exchanged."""
    mirrored = random.uniform((), "mirror") < 0.5
    return shift(torch.where(mirrored[:, None, None, None], x.flip(-1), x), random)


AUGMENT: dict[str, Callable[[Tensor, RowRandom], Tensor]] = {"shift": shift, "shift-and-mirror": shift_and_mirror}
"""What may be done to the images of an update, by name."""
