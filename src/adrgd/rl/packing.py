"""What an environment shows, as one row of floats an observation: the parts of a dictionary are laid side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from adrgd.errors import UsageError
from adrgd.rl.chain import Array

INFINITE = 1e30  # stands for bounds that an observation space does not have
BYTES = 255.0

Seen = Tensor | dict[str, Tensor]


@dataclass(frozen=True)
class Packing:
    """An observation space as rows: a Box in its own shape, a Dict flat, key after key.

    Attributes:
        space: what the environment shows.
        unit: what eps counts in, of each coordinate: 255 for bytes, so that 3/255 is three grey levels, 1 for all else.
        low, high: finite bounds of each coordinate.
        free: whether a coordinate is a number or a grey level, and may be perturbed; classes in a Dict may not.
    """

    space: spaces.Box | spaces.Dict
    unit: Tensor
    low: Tensor
    high: Tensor
    free: Tensor

    @staticmethod
    def of(space: spaces.Space[Any]) -> Packing:
        """The rows of a space.

        Raises:
            UsageError: there is nothing in it that could be perturbed a little.
        """
        if isinstance(space, spaces.Box):
            return Packing(space, *_of_box(space))
        if not isinstance(space, spaces.Dict) or not any(isinstance(part, spaces.Box) for part in space.values()):
            raise UsageError(
                f"cannot attack a policy that is shown {space}; expected a Box, that is numbers or an image, or a Dict "
                "with one"
            )
        parts = [_of_box(one) if isinstance(one, spaces.Box) else _of_classes(one) for one in space.values()]
        return Packing(space, *(torch.cat([one.flatten() for one in same]) for same in zip(*parts, strict=True)))

    def pack(self, seen: Any) -> Array:
        """(B, ...) floats of what the environment shows at once: an array, or a dictionary of arrays."""
        if not isinstance(self.space, spaces.Dict):
            return np.asarray(seen)
        rows = [np.asarray(seen[key]) for key in self.space]
        return np.concatenate([one.reshape(len(one), -1).astype(np.float32) for one in rows], 1)

    def unpack(self, x: Tensor) -> Seen:
        """What a policy of this space takes, for rows (B, ...)."""
        if not isinstance(self.space, spaces.Dict):
            return x
        sizes = [int(np.prod(one.shape or (1,))) for one in self.space.values()]
        return {
            key: part.reshape(-1, *(one.shape or ()))
            for (key, one), part in zip(self.space.items(), torch.split(x, sizes, 1), strict=True)
        }

    def bounds(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) around observations that may leave the space a little; what is not free stays as it is."""
        low, high, free = self.low.to(clean), self.high.to(clean), self.free.to(clean.device)
        low, high = torch.minimum(low, clean), torch.maximum(high, clean)
        return torch.where(free, low, clean), torch.where(free, high, clean)


def map_seen(change: Any, seen: Seen) -> Seen:
    """One function of an observation, or one for each key of a dictionary."""
    return {key: change[key](part) for key, part in seen.items()} if isinstance(seen, dict) else change(seen)


def _of_box(space: spaces.Box) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    low, high = (
        torch.as_tensor(np.nan_to_num(bound.astype(np.float64), posinf=INFINITE, neginf=-INFINITE), dtype=torch.float32)
        for bound in (space.low, space.high)
    )
    unit = torch.full(space.shape, BYTES if space.dtype == np.uint8 else 1.0)
    return unit, low.clamp_min(-INFINITE), high.clamp_max(INFINITE), torch.ones(space.shape, dtype=torch.bool)


def _of_classes(space: spaces.Space[Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of whole numbers that stand for classes, which no small change can move."""
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise UsageError(f"expected numbers, images and classes in a Dict that a policy is shown, found {space}")
    one = torch.ones(space.shape or (1,))
    return one, one, one, one.bool().logical_not()
