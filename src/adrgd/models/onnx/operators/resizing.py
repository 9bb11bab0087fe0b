"""ONNX operators that change the size of images: each axis in turn, by a few weighted entries for each new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.operators.axes import along


@dataclass(frozen=True)
class Axis:
    """What becomes of one axis: its place, sizes and scale, and the part of it that is taken."""

    axis: int
    size: int
    wanted: int
    scale: float
    start: float
    end: float


@dataclass(frozen=True)
class Manner:
    """How new entries are made of old ones."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    exclude: bool
    antialias: bool
    extrapolation: float


def resize(site: Site) -> Kernel:
    manner = Manner(
        mode=site.attribute("mode", "nearest"),
        coordinates=site.attribute(
            "coordinate_transformation_mode", "half_pixel" if site.node.opset >= 11 else "asymmetric"
        ),
        nearest=site.attribute("nearest_mode", "round_prefer_floor" if site.node.opset >= 11 else "floor"),
        cubic=float(site.attribute("cubic_coeff_a", -0.75)),
        exclude=bool(site.attribute("exclude_outside", 0)),
        antialias=bool(site.attribute("antialias", 0)),
        extrapolation=float(site.attribute("extrapolation_value", 0.0)),
    )
    at = (1, 2, 3) if site.node.opset >= 11 else (None, 1, None)
    axes = [site.axis(axis) for axis in site.attribute("axes", None) or range(site.rank())]
    roi, scales, sizes = (None if index is None else site.constant(index) for index in at)
    return _resized(site, manner, _axes(site, axes, roi, scales, sizes))


def upsample(site: Site) -> Kernel:
    mode = site.attribute("mode", "nearest")
    scales = torch.tensor(site.attribute("scales", [])) if site.node.opset < 9 else site.constant(1)
    manner = Manner({"bilinear": "linear"}.get(mode, mode), "asymmetric", "floor", -0.75, False, False, 0.0)
    return _resized(site, manner, _axes(site, list(range(site.rank())), None, scales, None))


def _axes(site: Site, axes: list[int], roi: Tensor | None, scales: Tensor | None, sizes: Tensor | None) -> list[Axis]:
    old = [site.shape(0)[axis] for axis in axes]
    ends = [(0.0, 1.0)] * len(axes)
    if roi is not None and roi.numel() == 2 * len(axes):
        ends = [(float(a), float(b)) for a, b in zip(roi[: len(axes)], roi[len(axes) :], strict=True)]
    if sizes is not None and sizes.numel():
        wanted = [int(size) for size in sizes.tolist()]
        by = [new / size for new, size in zip(wanted, old, strict=True)]
        policy = site.attribute("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            one = min(by) if policy == "not_larger" else max(by)
            by, wanted = [one] * len(axes), [int(one * size + 0.5) for size in old]
    elif scales is not None and scales.numel():
        by = [float(scale) for scale in scales.tolist()]
        share = [b - a if site.attribute("coordinate_transformation_mode", "") == "tf_crop_and_resize" else 1.0
                 for a, b in ends]  # fmt: skip
        wanted = [int(size * part * scale + 1e-9) for size, part, scale in zip(old, share, by, strict=True)]
    else:
        raise site.unsupported("without scales or sizes")
    return [
        Axis(axis - site.rank(), size, new, scale, *end)
        for axis, size, new, scale, end in zip(axes, old, wanted, by, ends, strict=True)
        if new != size or scale != 1 or end != (0.0, 1.0)
    ]


def _resized(site: Site, manner: Manner, axes: list[Axis]) -> Kernel:
    if manner.mode not in ("nearest", "linear", "cubic"):
        raise site.unsupported(f"in mode {manner.mode!r}")
    tables: list[Tensor] = []
    for axis in axes:
        tables += _taps(axis, manner)
    cropped = manner.coordinates == "tf_crop_and_resize"

    def run(x: Tensor, *tables: Tensor) -> Tensor:
        outside = None
        for number, one in enumerate(axes):
            index, weight, lost = tables[3 * number : 3 * number + 3]
            if weight.numel():
                parts = [
                    x.index_select(one.axis, index[k]) * along(weight[k], one.axis).to(x.dtype)
                    for k in range(len(index))
                ]
                x = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
            else:
                x = x.index_select(one.axis, index[0])
            if cropped:
                gone = along(lost, one.axis)
                outside = gone if outside is None else outside | gone
        return x if outside is None else torch.where(outside, manner.extrapolation, x)

    return Kernel(run, (0, *tables), Reach.BEHIND)


def _taps(axis: Axis, manner: Manner) -> tuple[Tensor, Tensor, Tensor]:
    """Old places (K, new), their weights (K, new; none for the nearest), and which new entries lie outside."""
    new = torch.arange(axis.wanted, dtype=torch.float64)
    at = _origin(new, axis, manner.coordinates)
    lost = (at < 0) | (at > axis.size - 1)
    last = axis.size - 1
    if manner.mode == "nearest":
        return NEAREST[manner.nearest](at).long().clamp(0, last)[None], torch.empty(0), lost
    stretch = min(1.0, axis.scale) if manner.antialias else 1.0
    reach = {"linear": 1.0, "cubic": 2.0}[manner.mode] / stretch
    first, count = torch.floor(at - reach + 1), int(2 * reach + 1e-9) + (manner.antialias and stretch < 1)
    index = first + torch.arange(count, dtype=torch.float64)[:, None]
    distance = (at - index).abs() * stretch
    weight = (1 - distance).clamp_min(0) if manner.mode == "linear" else _cubic(distance, manner.cubic)
    inside = (index >= 0) & (index <= last)
    weight = weight * inside if manner.exclude else weight
    if manner.exclude or stretch < 1:
        weight = weight / weight.sum(0)
    return index.long().clamp(0, last), weight, lost


def _cubic(d: Tensor, a: float) -> Tensor:
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _origin(new: Tensor, axis: Axis, how: str) -> Tensor:
    """Where the new entries lie among the old ones."""
    length, size, scale = axis.scale * axis.size, axis.size, axis.scale
    if how == "asymmetric":
        return new / scale
    if how == "align_corners":
        return new * ((size - 1) / (length - 1)) if length > 1 else torch.zeros_like(new)
    if how == "pytorch_half_pixel" and axis.wanted <= 1:
        return torch.full_like(new, -0.5)
    if how == "tf_half_pixel_for_nn":
        return (new + 0.5) / scale
    if how == "tf_crop_and_resize":
        if axis.wanted > 1:
            return axis.start * (size - 1) + new * ((axis.end - axis.start) * (size - 1) / (axis.wanted - 1))
        return torch.full_like(new, 0.5 * (axis.start + axis.end) * (size - 1))
    if how == "half_pixel_symmetric":
        centre = size / 2 * (1 - axis.wanted / length)
        return centre + (new + 0.5) / scale - 0.5
    return (new + 0.5) / scale - 0.5


NEAREST: dict[str, Callable[[Tensor], Tensor]] = {
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
}


def grid_sample(site: Site) -> Kernel:
    mode = site.attribute("mode", "linear")
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    padding, corners = site.attribute("padding_mode", "zeros"), bool(site.attribute("align_corners", 0))
    if mode == "bicubic" and site.rank() != 4:
        raise site.unsupported("in mode 'cubic' on volumes")
    return Kernel(
        lambda x, grid: F.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=corners),
        (0, 1),
        Reach.ROW,
    )


OPERATORS: dict[str, Builder] = {"GridSample": grid_sample, "Resize": resize, "Upsample": upsample}
