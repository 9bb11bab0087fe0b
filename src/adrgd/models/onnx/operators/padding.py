"""ONNX operators that add or cut off at the ends of axes, or turn parts of them around."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.operators.activations import IDENTITY


def pad(site: Site) -> Kernel:
    rank, mode = site.rank(), site.attribute("mode", "constant")
    name = "paddings" if site.node.opset < 2 else "pads"
    widths = site.attribute_or_integers(name, 1, 11)
    value = float(site.attribute("value", 0.0)) if site.node.opset < 11 else site.number(2, 0.0)
    if widths is None or mode not in ("constant", "reflect", "edge", "wrap"):
        raise site.unsupported(f"in mode {mode!r}")
    axes = [site.axis(axis) for axis in site.integers(3) or range(rank)] if site.node.opset >= 18 else list(range(rank))
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = widths[place], widths[place + len(axes)]
    if not any((*before, *after)):
        return IDENTITY
    if mode == "constant":
        first = next(axis for axis in range(rank) if before[axis] or after[axis])
        pairs = [width for axis in reversed(range(first, rank)) for width in (before[axis], after[axis])]
        return Kernel(lambda x: F.pad(x, pairs, value=value), (0,), Reach.BEHIND)
    padded = [axis for axis in range(rank) if before[axis] or after[axis]]
    places = [_places(site.shape(0)[axis], before[axis], after[axis], mode) for axis in padded]

    def run(x: Tensor, *places: Tensor) -> Tensor:
        for axis, place in zip(padded, places, strict=True):
            x = x.index_select(axis - rank, place)
        return x

    return Kernel(run, (0, *places), Reach.BEHIND)


def _places(size: int, before: int, after: int, mode: str) -> Tensor:
    """Where the entries of a padded axis come from."""
    at = torch.arange(-before, size + after)
    if mode == "edge":
        return at.clamp(0, size - 1)
    if mode == "wrap":
        return at % size
    turn = max(1, 2 * (size - 1))
    return (size - 1) - ((at % turn) - (size - 1)).abs()


def reverse_sequence(site: Site) -> Kernel:
    """The first entries of each sequence in the opposite order."""
    time, batch = site.attribute("time_axis", 0), site.attribute("batch_axis", 1)
    lengths, rank = site.integers(1), site.rank()
    if lengths is None:
        raise site.unsupported("without lengths")
    steps = torch.arange(site.shape(0)[time])
    length = torch.tensor(lengths)[:, None]
    place = torch.where(steps < length, length - 1 - steps, steps)  # (batch, time)
    place = place if batch < time else place.t()
    low, high = sorted((batch, time))
    sizes = [place.shape[(low, high).index(axis)] if axis in (low, high) else 1 for axis in range(rank)]
    table = place.reshape(sizes)
    return Kernel(lambda x, at: torch.gather(x, time - rank, at.expand_as(x)), (0, table), Reach.BEHIND)


OPERATORS: dict[str, Builder] = {"Pad": pad, "ReverseSequence": reverse_sequence}
