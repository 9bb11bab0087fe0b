"""Changes of images as images."""

from __future__ import annotations

from torch import Tensor


def shown_change(difference: Tensor) -> Tensor:
    """Grey for no change; the largest change of the image becomes black or white."""
    return 0.5 + 0.5 * difference / difference.abs().max().clamp_min(1e-12)
