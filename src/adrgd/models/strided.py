"""Plain networks of strided convolutions and linear layers, with any activation: no pooling, no normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn


def strided_cnn(
    shape: tuple[int, int, int], widths: Sequence[int], hidden: int, activation: Callable[[], nn.Module]
) -> nn.Sequential:
    """Convolutions that each halve the resolution, then two linear layers; untrained.

    Takes images (B, channels, side, side) and returns logits (B, 10).

    Args:
        shape: of one image.
        widths: channels of each convolution.
        hidden: neurons of the first linear layer.
        activation: makes the function behind each layer but the last.
    """
    channels, side, _ = shape
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 4, 2, padding=1), activation()]
        channels, side = width, side // 2
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(channels * side * side, hidden), activation(), nn.Linear(hidden, 10)
    )
