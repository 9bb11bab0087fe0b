"""ONNX operators that move, join, cut or repeat tensors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.operators.axes import lifted, permuted


def _reshaped(target: Sequence[int]) -> Kernel:
    sizes = list(target)
    return Kernel(lambda x: x.reshape(sizes), (0,), Reach.ORDER)


def flatten(site: Site) -> Kernel:
    sizes, axis = site.shape(0), site.attribute("axis", 1)
    axis += len(sizes) if axis < 0 else 0
    return _reshaped([prod(sizes[:axis]), prod(sizes[axis:])])


def reshape(site: Site) -> Kernel:
    sizes = site.shape(0)
    target = site.attribute("shape", None) if site.node.opset < 5 else site.integers(1)
    if target is None:
        raise site.unsupported("without a shape")
    if not site.attribute("allowzero", 0):
        target = [size or sizes[axis] for axis, size in enumerate(target)]
    return _reshaped(target)


def squeeze(site: Site) -> Kernel:
    sizes = site.shape(0)
    axes = site.attribute("axes", None) if site.node.opset < 13 else site.integers(1)
    gone = {axis for axis, size in enumerate(sizes) if size == 1} if axes is None else {site.axis(a) for a in axes}
    return _reshaped([size for axis, size in enumerate(sizes) if axis not in gone])


def unsqueeze(site: Site) -> Kernel:
    axes = site.attribute("axes", None) if site.node.opset < 13 else site.integers(1)
    sizes = list(site.shape(0))
    rank = len(sizes) + len(axes or [])
    for axis in sorted(site.axis(a, rank) for a in axes or []):
        sizes.insert(axis, 1)
    return _reshaped(sizes)


def transpose(site: Site) -> Kernel:
    order = site.attribute("perm", None) or list(reversed(range(site.rank())))
    return Kernel(lambda x: permuted(x, order), (0,), Reach.BEHIND)


def concat(site: Site) -> Kernel:
    axis, rank, inputs = site.from_end(site.attribute("axis", 1)), site.rank(), site.given()
    if any(site.rank(index) != rank for index in inputs):
        raise site.unsupported("on inputs with different numbers of axes")

    def run(*parts: Tensor) -> Tensor:
        front = next((part.shape[: part.ndim - rank] for part in parts if part.ndim > rank), ())
        if front:  # a constant part is repeated for every row
            parts = tuple(part if part.ndim > rank else part.expand(*front, *part.shape) for part in parts)
        return torch.cat(parts, axis)

    return Kernel(run, inputs, Reach.BEHIND)


def split(site: Site) -> Kernel:
    axis = site.from_end(site.attribute("axis", 0))
    sizes = site.integers(1) or site.attribute("split", None)
    if sizes is None:
        count, size = len(site.node.outputs), site.shape(0)[axis]
        each = -(-size // count)
        sizes = [min(each, size - each * part) for part in range(count)]
    kinds = (site.kind(),) * len(sizes)
    return Kernel(lambda x: torch.split(x, sizes, axis), (0,), Reach.BEHIND, kinds)


def slice_(site: Site) -> Kernel:
    sizes = site.shape(0)
    if site.node.opset < 10:
        starts, ends, axes, steps = (site.attribute(name, None) for name in ("starts", "ends", "axes", "steps"))
    else:
        starts, ends, axes, steps = (site.integers(index) for index in (1, 2, 3, 4))
    axes = [site.axis(axis) for axis in (range(len(starts)) if axes is None else axes)]
    cuts, flips = [slice(None)] * len(sizes), []
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(axes), strict=True):
        kept = range(*slice(start, end, step).indices(sizes[axis]))
        if step < 0:  # torch has no negative steps: take the same entries forwards, then turn them around
            kept = kept[::-1]
            flips.append(axis - len(sizes))
        cuts[axis] = slice(kept.start, kept.stop, kept.step)
    cut = (..., *cuts)
    if flips:
        return Kernel(lambda x: x[cut].flip(flips), (0,), Reach.BEHIND)
    return Kernel(lambda x: x[cut], (0,), Reach.BEHIND)


def expand(site: Site) -> Kernel:
    given = site.integers(1)
    if given is None:
        raise site.unsupported("without a shape")
    low = site.rank()
    rank = max(low, len(given))
    old, new = ([1] * (rank - len(sizes)) + list(sizes) for sizes in (site.shape(0), given))
    if any(1 not in (a, b) and a != b for a, b in zip(old, new, strict=True)):
        raise site.unsupported(f"to spread the shape {site.shape(0)} to {tuple(given)}")
    wanted = [b if a == 1 else a for a, b in zip(old, new, strict=True)]

    def run(x: Tensor) -> Tensor:
        front = x.shape[: x.ndim - low]
        return lifted(x, low, len(wanted)).expand(*front, *wanted)

    return Kernel(run, (0,), Reach.BEHIND)


def tile(site: Site) -> Kernel:
    counts = site.integers(1)
    if counts is None or len(counts) != site.rank():
        raise site.unsupported("without a number of repetitions for each axis")
    return Kernel(lambda x: x.repeat(*[1] * (x.ndim - len(counts)), *counts), (0,), Reach.BEHIND)


def trilu(site: Site) -> Kernel:
    diagonal, upper = int(site.number(1, 0)), bool(site.attribute("upper", 1))
    return Kernel(lambda x: torch.triu(x, diagonal) if upper else torch.tril(x, diagonal), (0,), Reach.BEHIND)


def depth_to_space(site: Site) -> Kernel:
    size, (_, channels, height, width) = int(site.attribute("blocksize", 1)), site.shape(0)
    inside, rows_first = channels // size**2, site.attribute("mode", "DCR") == "DCR"
    shape = (size, size, inside) if rows_first else (inside, size, size)
    order = (2, 3, 0, 4, 1) if rows_first else (0, 3, 1, 4, 2)

    def run(x: Tensor) -> Tensor:
        parts = permuted(x.reshape(*x.shape[:-3], *shape, height, width), order)
        return parts.reshape(*x.shape[:-3], inside, height * size, width * size)

    return Kernel(run, (0,), Reach.BEHIND)


def space_to_depth(site: Site) -> Kernel:
    size, (_, channels, height, width) = int(site.attribute("blocksize", 1)), site.shape(0)
    columns_first = site.attribute("mode", "DCR") == "DCR"
    order = (2, 4, 0, 1, 3) if columns_first else (0, 2, 4, 1, 3)

    def run(x: Tensor) -> Tensor:
        parts = x.reshape(*x.shape[:-3], channels, height // size, size, width // size, size)
        return permuted(parts, order).reshape(*x.shape[:-3], channels * size**2, height // size, width // size)

    return Kernel(run, (0,), Reach.BEHIND)


OPERATORS: dict[str, Builder] = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Reshape": reshape,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": trilu,
    "Unsqueeze": unsqueeze,
}
