"""ONNX operators that make, move, join or cut tensors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site


def made(value: Tensor) -> Kernel:
    return Kernel(lambda: value, (), Reach.WHOLE)


def along(axis: int) -> Reach:
    """How far an operator along one axis reaches: it stays within rows unless that axis is the first."""
    return Reach.ROW if axis else Reach.WHOLE


def constant(site: Site) -> Kernel:
    for name, value in site.node.attributes.items():
        if isinstance(value, Tensor):
            return made(value)
        if name in ("value_float", "value_floats"):
            return made(torch.tensor(value, dtype=torch.float64))
        if name in ("value_int", "value_ints"):
            return made(torch.tensor(value, dtype=torch.int64))
    raise site.unsupported("with a value that is not a tensor of numbers")


def constant_of_shape(site: Site) -> Kernel:
    fill = site.attribute("value", torch.zeros(1, dtype=torch.float64))
    return made(fill.reshape(()).expand(site.integers(0) or []).clone())


def shape(site: Site) -> Kernel:
    sizes = site.shape(0)[site.attribute("start", 0) : site.attribute("end", None)]
    return made(torch.tensor(sizes, dtype=torch.int64))


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
    order = site.attribute("perm", None) or list(reversed(range(len(site.shape(0)))))
    stays = bool(order) and order[0] == 0
    return Kernel(lambda x: x.permute(order), (0,), Reach.ROW if stays else Reach.WHOLE)


def concat(site: Site) -> Kernel:
    axis = site.axis(site.attribute("axis", 1))
    inputs = tuple(range(len(site.shapes)))
    # a constant part has to be repeated for every row, which the general way does
    rows = axis > 0 and all(site.varies(index) for index in inputs)
    return Kernel(lambda *parts: torch.cat(parts, axis), inputs, Reach.ROW if rows else Reach.WHOLE)


def split(site: Site) -> Kernel:
    axis = site.axis(site.attribute("axis", 0))
    sizes = site.attribute("split", None) if site.node.opset < 13 else site.integers(1)
    if sizes is None:
        count, size = len(site.node.outputs), site.shape(0)[axis]
        each = -(-size // count)
        sizes = [min(each, size - each * part) for part in range(count)]
    return Kernel(lambda x: torch.split(x, sizes, axis), (0,), along(axis))


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
            flips.append(axis)
        cuts[axis] = slice(kept.start, kept.stop, kept.step)
    cut = tuple(cuts)
    reach = Reach.ROW if 0 not in axes else Reach.WHOLE
    if flips:
        return Kernel(lambda x: x[cut].flip(flips), (0,), reach)
    return Kernel(lambda x: x[cut], (0,), reach)


def gather(site: Site) -> Kernel:
    axis, chosen = site.axis(site.attribute("axis", 0)), site.constant(1)
    if chosen is None:
        raise site.unsupported("without indices")
    size = site.shape(0)[axis]
    index = torch.where(chosen < 0, chosen + size, chosen).long()
    if not index.ndim:
        place = int(index)
        return Kernel(lambda x: x.select(axis, place), (0,), along(axis))
    shape = tuple(index.shape)

    def run(x: Tensor, flat: Tensor) -> Tensor:
        taken = torch.index_select(x, axis, flat)
        return taken if len(shape) == 1 else torch.unflatten(taken, axis, shape)

    return Kernel(run, (0, index.reshape(-1)), along(axis))


def pad(site: Site) -> Kernel:
    rank, mode = len(site.shape(0)), site.attribute("mode", "constant")
    widths = site.attribute("pads", None) if site.node.opset < 11 else site.integers(1)
    given = site.constant(2) if site.node.opset >= 11 else None
    value = float(site.attribute("value", 0.0) if given is None else given)
    if widths is None or mode not in ("constant", "reflect", "edge"):
        raise site.unsupported(f"in mode {mode!r}")
    axes = [site.axis(axis) for axis in site.integers(3) or range(rank)] if site.node.opset >= 18 else list(range(rank))
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = widths[place], widths[place + len(axes)]
    first = next((axis for axis in range(rank) if before[axis] or after[axis]), rank)
    pairs = [width for axis in reversed(range(first, rank)) for width in (before[axis], after[axis])]
    if not pairs:
        return Kernel(lambda x: x, (0,), Reach.POINT)
    if mode == "constant":
        return Kernel(lambda x: F.pad(x, pairs, value=value), (0,), along(first))
    way = {"reflect": "reflect", "edge": "replicate"}[mode]
    return Kernel(lambda x: F.pad(x, pairs, mode=way), (0,), along(first))


OPERATORS: dict[str, Builder] = {
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Flatten": flatten,
    "Gather": gather,
    "Pad": pad,
    "Reshape": reshape,
    "Shape": shape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
