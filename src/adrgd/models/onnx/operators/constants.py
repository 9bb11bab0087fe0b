"""ONNX operators that make constants: of what stands in the file, of a shape, of a length."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.kinds import FLOAT, INT64, KEPT_AS, kind_of


def made(value: Tensor, kind: int | None = None) -> Kernel:
    return Kernel(lambda: value, (), Reach.WHOLE, (kind_of(value) if kind is None else kind,))


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


def span(site: Site) -> Kernel:
    start, limit, delta = (site.constant(index) for index in range(3))
    if start is None or limit is None or delta is None:
        raise site.unsupported("without its three numbers")
    first, last, by = (one.reshape(()).item() for one in (start, limit, delta))
    count = max(0, int(-((first - last) // by)))
    return made(start.reshape(()) + delta.reshape(()) * torch.arange(count), site.kind())


def eye_like(site: Site) -> Kernel:
    rows, columns = site.shape(0)
    kind = site.attribute("dtype", site.kind())
    dtype = KEPT_AS.get(kind, torch.float64)
    across = torch.arange(columns)[None] - torch.arange(rows)[:, None]
    return made((across == site.attribute("k", 0)).to(dtype), kind)


def cosines(*weights: float) -> Builder:
    """A window of signal processing: a weighted sum of cosines."""

    def build(site: Site) -> Kernel:
        size, periodic = int(site.number(0, 0)), bool(site.attribute("periodic", 1))
        turn = torch.arange(size, dtype=torch.float64) * (2 * torch.pi / max(1, size if periodic else size - 1))
        total = torch.zeros(size, dtype=torch.float64)
        for k, weight in enumerate(weights):
            total = total + weight * torch.cos(k * turn)
        kind = site.attribute("output_datatype", FLOAT)
        return made(total if kind not in KEPT_AS else total.to(KEPT_AS[kind]), kind)

    return build


def nonzero(site: Site) -> Kernel:
    found = site.constant(0)
    if found is None:
        raise site.unsupported("without an input")
    return made(torch.nonzero(found).t().contiguous(), INT64)


def size(site: Site) -> Kernel:
    return made(torch.tensor(prod(site.shape(0))))


OPERATORS: dict[str, Builder] = {
    "BlackmanWindow": cosines(0.42, -0.5, 0.08),
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "EyeLike": eye_like,
    "HammingWindow": cosines(25 / 46, -21 / 46),
    "HannWindow": cosines(0.5, -0.5),
    "NonZero": nonzero,
    "Range": span,
    "Shape": shape,
    "Size": size,
}
