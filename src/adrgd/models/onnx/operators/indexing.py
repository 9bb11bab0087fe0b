"""ONNX operators that take entries from places, or put them there.

Places that are computed from the model's input are followed, and have no slope.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.operators.axes import along

REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def places(index: Tensor, size: int) -> Tensor:
    """Whole numbers as indices of an axis; negative ones count from the end."""
    index = index.round().long() if index.is_floating_point() else index.long()
    return torch.where(index < 0, index + size, index)


def gather(site: Site) -> Kernel:
    axis, rank = site.axis(site.attribute("axis", 0)), site.rank()
    size = site.shape(0)[axis]
    if site.varies(1):
        before = (slice(None),) * axis
        return Kernel(lambda x, index: x[(*before, places(index, size))], (0, 1), Reach.WHOLE)
    chosen = site.constant(1)
    if chosen is None:
        raise site.unsupported("without indices")
    if chosen.numel() and not -size <= int(chosen.min()) <= int(chosen.max()) < size:
        raise site.unsupported(f"with indices beyond the {size} entries of an axis")
    index, axis = places(chosen, size), axis - rank
    if not index.ndim:
        place = int(index)
        return Kernel(lambda x: x.select(axis, place), (0,), Reach.BEHIND)
    shape = tuple(index.shape)

    def run(x: Tensor, flat: Tensor) -> Tensor:
        taken = torch.index_select(x, axis, flat)
        return taken if len(shape) == 1 else torch.unflatten(taken, axis, shape)

    return Kernel(run, (0, index.reshape(-1)), Reach.BEHIND)


def gather_elements(site: Site) -> Kernel:
    axis = site.axis(site.attribute("axis", 0))
    size = site.shape(0)[axis]
    return Kernel(lambda x, index: torch.gather(x, axis, places(index, size)), (0, 1), Reach.WHOLE)


def gather_nd(site: Site) -> Kernel:
    common, sizes = int(site.attribute("batch_dims", 0)), site.shape(0)
    depth = site.shape(1)[-1]
    front, looked = sizes[:common], sizes[common : common + depth]

    def run(x: Tensor, index: Tensor) -> Tensor:
        flat = _flat(index, looked)
        flat = flat.reshape(prod(front), -1)
        rows = x.reshape(prod(front), prod(looked), -1)
        taken = torch.gather(rows, 1, flat[..., None].expand(*flat.shape, rows.shape[-1]))
        return taken.reshape(*index.shape[:-1], *sizes[common + depth :])

    return Kernel(run, (0, 1), Reach.WHOLE)


def _flat(index: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Rows of indices (..., k) as single ones into the first k axes laid out in a row."""
    flat = torch.zeros_like(index[..., 0], dtype=torch.int64)
    for k, size in enumerate(sizes):
        flat = flat * size + places(index[..., k], size)
    return flat


def scatter_elements(site: Site) -> Kernel:
    axis, reduce = site.axis(site.attribute("axis", 0)), site.attribute("reduction", "none")
    size = site.shape(0)[axis]

    def run(x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
        return _put(x, axis, places(index, size), updates, reduce)

    return Kernel(run, (0, 1, 2), Reach.WHOLE)


def scatter_nd(site: Site) -> Kernel:
    sizes, depth, reduce = site.shape(0), site.shape(1)[-1], site.attribute("reduction", "none")
    looked = sizes[:depth]

    def run(x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
        rows = x.reshape(prod(looked), -1)
        at = _flat(index, looked).reshape(-1, 1)
        new = updates.reshape(at.shape[0], -1)
        return _put(rows, 0, at.expand(new.shape), new, reduce).reshape(sizes)

    return Kernel(run, (0, 1, 2), Reach.WHOLE)


def _put(x: Tensor, axis: int, index: Tensor, updates: Tensor, reduce: str) -> Tensor:
    dtype = torch.promote_types(x.dtype, updates.dtype)
    x, updates = x.to(dtype), updates.to(dtype)
    if reduce in REDUCTIONS:
        return torch.scatter_reduce(x, axis, index, updates, REDUCTIONS[reduce])
    return torch.scatter(x, axis, index, updates)


def compress(site: Site) -> Kernel:
    """The entries of an axis, or of all numbers in a row, for which a constant says so."""
    flags, axis = site.constant(1), site.attribute("axis", None)
    if flags is None:
        raise site.unsupported("without a condition")
    kept = torch.nonzero(flags.reshape(-1))[:, 0]
    if axis is None:
        return Kernel(lambda x, at: x.reshape(-1).index_select(0, at), (0, kept), Reach.WHOLE)
    from_end = site.from_end(axis)
    return Kernel(lambda x, at: x.index_select(from_end, at), (0, kept), Reach.BEHIND)


def extract_features(site: Site) -> Kernel:
    """Entries of the last axis; what scikit-learn's converters write."""
    chosen = site.integers(1)
    if not chosen:
        raise site.unsupported("without indices")
    rank = site.rank()

    def run(x: Tensor, at: Tensor) -> Tensor:
        taken = x.index_select(-1, at)
        return taken.unsqueeze(-2) if rank == 1 else taken

    return Kernel(run, (0, torch.tensor(chosen)), Reach.BEHIND)


def tensor_scatter(site: Site) -> Kernel:
    """New entries along an axis of a cache, for each example of its first axis from a place of its own."""
    rank, size = site.rank(), site.shape(0)[site.axis(site.attribute("axis", -2))]
    axis = site.from_end(site.attribute("axis", -2))
    length, turning = site.shape(1)[axis], site.attribute("mode", "linear") == "circular"
    steps = along(torch.arange(length), axis)

    def run(cache: Tensor, new: Tensor, steps: Tensor, start: Tensor | None = None) -> Tensor:
        at = steps
        if start is not None:
            first = places(start, size)
            at = at + first.reshape(*first.shape, *[1] * (rank - 1))
        return torch.scatter(cache, axis, (at % size if turning else at).expand_as(new), new)

    return Kernel(run, (0, 1, steps, 2) if site.has(2) else (0, 1, steps), Reach.WHOLE)


OPERATORS: dict[str, Builder] = {
    "Compress": compress,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TensorScatter": tensor_scatter,
    "ai.onnx.ml.ArrayFeatureExtractor": extract_features,
}
