"""Networks that take images in another layout than ours, (B, C, H, W): channels last, as in TensorFlow, or as rows."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

FIRST, LAST, FLAT = "NCHW", "NHWC", "flat"


class ChannelsLast(nn.Module):
    """A module that takes (B, H, W, C), as one that takes (B, C, H, W)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.module(x.movedim(1, -1))
        return result


class Flat(nn.Module):
    """A module that takes rows of numbers, or these in the shape given, as one that takes images of as many."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...] = (-1,)) -> None:
        super().__init__()
        self.module, self.shape = module, shape

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.module(x.flatten(1).reshape(len(x), *self.shape))
        return result


def for_images(module: nn.Module, own: tuple[int, ...], shape: tuple[int, ...]) -> tuple[nn.Module, str] | None:
    """A network whose inputs have another shape than images, as one that takes them, and in words how.

    Args:
        own: the shape of its inputs.
        shape: the images', (C, H, W).

    Returns:
        None where they do not have as many numbers.
    """
    if own == (*shape[1:], shape[0]):
        return ChannelsLast(module), "with the channels last"
    if prod(own) == prod(shape):
        return Flat(module, own), "row by row" if shape[0] == 1 else "channel by channel, and each of them row by row"
    return None


def to_first(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """(C, H, W) from (H, W, C)."""
    return None if shape is None else (shape[-1], *shape[:-1])
