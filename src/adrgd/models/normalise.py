"""Normalisation of the input as the first layer of a model."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError

MEAN, STD = "mean", "std"


class Normalised(nn.Module):
    """Subtracts a mean and divides by a standard deviation, then runs a module.

    Args:
        module: what runs on the normalised batch.
        mean: one value, or one for each channel (the axis after the batch).
        std: likewise, positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", mean.reshape(-1))
        self.register_buffer("std", std.reshape(-1))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        result: Tensor = self.module((x - self.mean.view(shape)) / self.std.view(shape))
        return result


def normalised(
    module: nn.Module, mean: str | None, std: str | None, *, shape: tuple[int, ...] | None, spec: str
) -> nn.Module:
    """Wrap a module by the `mean` and `std` of a spec; return it as it is when the spec has neither.

    Raises:
        ModelError: the values are not numbers, not one for each channel of `shape`, or std is not positive.
    """
    if mean is None and std is None:
        return module
    means, stds = _numbers(mean or "0", MEAN, spec), _numbers(std or "1", STD, spec)
    if any(value <= 0 for value in stds):
        raise ModelError(f"expected positive values in std of {spec!r}, found {std!r}; correct it")
    counts = {len(values) for values in (means, stds) if len(values) > 1}
    channels = {shape[0]} if shape else counts
    if len(counts) > 1 or not counts <= channels:
        wanted = f"one value or {shape[0]} (one for each channel)" if shape else "equally many values"
        raise ModelError(
            f"expected {wanted} in mean and std of {spec!r}, found {len(means)} and {len(stds)}; correct them"
        )
    # double precision until the whole model is moved to its type
    return Normalised(module, *(torch.tensor(values, dtype=torch.float64) for values in (means, stds)))


def inside(module: nn.Module) -> nn.Module:
    """The module behind a normalisation, whose parameters are what a file of weights holds."""
    return module.module if isinstance(module, Normalised) else module


def _numbers(text: str, key: str, spec: str) -> list[float]:
    try:
        values = [float(piece) for piece in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) for value in values):
        raise ModelError(f"expected numbers joined by commas in {key} of {spec!r}, found {text!r}; correct it")
    return values
