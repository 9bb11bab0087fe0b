"""ONNX operators that choose by rank: the place of the largest number, the k largest, a one where the largest stands.

Places are whole numbers and have no slope. What depends on the input gets that of a sum over the unit steps which are
one where a number is the largest; these are softened as every jump is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import INT64
from adrgd.models.onnx.operators.axes import along
from adrgd.models.onnx.operators.comparison import equal, number, step


def straight(value: Tensor, soft: Tensor) -> Tensor:
    """The value, with the gradient of something that is soft."""
    return value + (soft - soft.detach()).nan_to_num(0.0, 0.0, 0.0)


def is_largest(x: Tensor, axis: int) -> Tensor:
    return step(x - x.amax(axis, keepdim=True), 1.0)


def place(sign: int) -> Builder:
    """ArgMax (1) and ArgMin (-1)."""

    def build(site: Site) -> Kernel:
        axis, keep = site.from_end(site.attribute("axis", 0)), bool(site.attribute("keepdims", 1))
        last, size = bool(site.attribute("select_last_index", 0)), site.shape(0)[axis]

        def find(x: Tensor) -> Tensor:
            h = x if sign > 0 else -x
            if last:
                return size - 1 - h.flip(axis).argmax(axis, keepdim=keep)
            return h.argmax(axis, keepdim=keep)

        if not site.varies(0):
            return Kernel(find, (0,), Reach.BEHIND, (INT64,))

        def run(x: Tensor, places: Tensor) -> Tensor:
            soft = (is_largest(x if sign > 0 else -x, axis) * places).sum(axis, keepdim=keep)
            return straight(find(x).to(x.dtype), soft)

        places = along(torch.arange(size, dtype=torch.float64), axis)
        return Kernel(run, (0, places), Reach.BEHIND, (INT64,))

    return build


def hardmax(site: Site) -> Kernel:
    axis, old = site.attribute("axis", -1 if site.node.opset >= 13 else 1), site.node.opset < 13
    first = site.from_end(axis)

    def run(x: Tensor) -> Tensor:
        shape = x.shape
        x = x.flatten(first) if old else x
        along_axis = -1 if old else first
        hard = torch.zeros_like(x).scatter(along_axis, x.argmax(along_axis, keepdim=True), 1.0)
        return straight(hard, is_largest(x, along_axis)).reshape(shape)

    return Kernel(run, (0,), Reach.BEHIND)


def top_k(site: Site) -> Kernel:
    given = [site.attribute("k", 1)] if site.node.opset < 10 else site.integers(1)
    if not given:
        raise site.unsupported("without a number of entries")
    axis, count, largest = site.from_end(site.attribute("axis", -1)), given[0], bool(site.attribute("largest", 1))
    whole, varies = site.kind(), site.varies(0)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        # sorted stably, since of equal numbers the first is to be taken
        values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
        places = places.narrow(axis, 0, count)
        return values.narrow(axis, 0, count), places.to(x.dtype) if varies else places

    return Kernel(run, (0,), Reach.BEHIND, (whole, INT64))


def one_hot(site: Site) -> Kernel:
    depth = int(site.number(1, 1))
    axis = site.attribute("axis", -1)
    axis = site.axis(axis, site.rank() + 1) - site.rank() - 1
    kind = site.kind(2)

    def run(index: Tensor, values: Tensor, places: Tensor) -> Tensor:
        index = index.unsqueeze(axis)
        index = index.long() if not index.is_floating_point() else index
        found = equal(index, places) + equal(index + depth, places)  # negative ones count from the end
        return number(values[..., 0]) + found * (number(values[..., 1]) - number(values[..., 0]))

    if site.varies(2):
        raise site.unsupported("with values that are computed from the model's input")
    places = along(torch.arange(depth), axis)
    return Kernel(run, (0, 2, places), Reach.BEHIND, (kind,))


OPERATORS: dict[str, Builder] = {
    "ArgMax": place(1),
    "ArgMin": place(-1),
    "Hardmax": hardmax,
    "OneHot": one_hot,
    "TopK": top_k,
}
