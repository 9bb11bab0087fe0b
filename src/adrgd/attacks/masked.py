"""What is said of images that no gradient led anywhere."""

from __future__ import annotations

from torch import Tensor

from adrgd.errors import warn


def say_masked(stands: Tensor, moved: Tensor, backwards: Tensor) -> Tensor:
    """(B,) the images that stand although backward passes were spent, none of which had a gradient; said once."""
    masked = stands & ~moved & (backwards > 0)
    if masked.any():
        warn(
            f"{int(masked.sum())} of {len(masked)} images stand, and the loss's gradient was zero at every iteration: "
            "nothing was searched there; look for rounding, steps, clipping or saturation in the model, give it a "
            "slope by adrgd.defences.straight_through, or compare with attacks that need no gradient"
        )
    return masked
