"""ONNX operators of signal processing: Fourier transforms, and images put together from columns."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.operators.axes import along, reshaped
from adrgd.models.onnx.operators.constants import made


def _parts(x: Tensor) -> Tensor:
    """A complex tensor as one with the real and the imaginary parts along its last axis."""
    return torch.view_as_real(x)


def _complex(x: Tensor) -> Tensor:
    return torch.complex(x[..., 0], x[..., 1] if x.shape[-1] == 2 else torch.zeros_like(x[..., 0]))


def fourier(site: Site) -> Kernel:
    old = site.node.opset < 20
    given = site.attribute("axis", 1) if old else (site.integers(2) or [-2])[0]
    axis, rank = site.axis(given), site.rank()
    axis = axis - (rank - 1)  # of the complex tensor, counted from the end
    length = int(site.number(1, 0)) or None
    inverse, half = bool(site.attribute("inverse", 0)), bool(site.attribute("onesided", 0))

    def run(x: Tensor) -> Tensor:
        x = x if x.is_floating_point() else x.double()
        if half and inverse:
            real: Tensor = torch.fft.irfft(_complex(x), length, axis)
            return real.unsqueeze(-1)
        if half:
            return _parts(torch.fft.rfft(x[..., 0], length, axis))
        if inverse:
            return _parts(torch.fft.ifft(_complex(x), length, axis))
        return _parts(torch.fft.fft(_complex(x), length, axis))

    return Kernel(run, (0,), Reach.BEHIND)


def short_time(site: Site) -> Kernel:
    """The spectrum of each window of a signal (batch, length, 1 or 2)."""
    step = int(site.number(1, 1))
    size = int(site.number(3, 0)) or (site.shape(2)[0] if site.has(2) else 0)
    half = bool(site.attribute("onesided", 1))
    if site.shape(0)[-1] == 2:
        half = False

    def run(x: Tensor, window: Tensor | None = None) -> Tensor:
        frames = x.unfold(-2, size, step)  # (..., frames, 1 or 2, size)
        frames = frames if window is None else frames * window
        if half:
            return _parts(torch.fft.rfft(frames[..., 0, :]))
        return _parts(torch.fft.fft(_complex(frames.mT)))

    return Kernel(run, (0, 2) if site.has(2) else (0,), Reach.BEHIND)


def columns_to_image(site: Site) -> Kernel:
    """Columns of entries of blocks, added up where the blocks overlap, in any number of dimensions."""
    image, block = site.integers(1), site.integers(2)
    if image is None or block is None:
        raise site.unsupported("without the sizes of the image and of its blocks")
    axes = len(block)
    dilations, strides = (site.attribute(name, None) or [1] * axes for name in ("dilations", "strides"))
    pads = site.attribute("pads", None) or [0] * (2 * axes)
    padded = [size + pads[k] + pads[k + axes] for k, size in enumerate(image)]
    counts = [(padded[k] - dilations[k] * (block[k] - 1) - 1) // strides[k] + 1 for k in range(axes)]
    place = torch.zeros((), dtype=torch.int64)
    for k in range(axes):  # (block..., count...), as one index into the padded image
        inside = along(torch.arange(block[k]) * dilations[k], k - 2 * axes)
        start = along(torch.arange(counts[k]) * strides[k], k - axes)
        place = place * padded[k] + inside + start
    channels = site.shape(0)[1] // prod(block)
    cut: tuple[Any, ...] = (..., *[slice(pads[k], pads[k] + image[k]) for k in range(axes)])

    def run(x: Tensor, at: Tensor) -> Tensor:
        flat = reshaped(x, 2, [channels, prod(block) * prod(counts)])
        empty = flat.new_zeros(*flat.shape[:-1], prod(padded))
        return reshaped(empty.scatter_add(-1, at.expand_as(flat), flat), 1, padded)[cut]

    return Kernel(run, (0, place.reshape(-1)), Reach.BEHIND)


def mel_weights(site: Site) -> Kernel:
    """The matrix that takes a spectrum to the Mel scale, of constants alone."""
    bins, size, rate = (int(site.number(index, 0)) for index in range(3))
    low, high = site.number(3, 0.0), site.number(4, 0.0)
    edges = torch.arange(bins + 2, dtype=torch.float64)
    ends = 2595 * torch.log10(1 + torch.tensor([low, high], dtype=torch.float64) / 700)
    mel = edges * ((ends[1] - ends[0]) / (bins + 2)) + ends[0]
    at = ((size + 1) * (700 * (10 ** (mel / 2595) - 1)) / rate).floor()
    row = torch.arange(size // 2 + 1, dtype=torch.float64)[:, None]
    left, centre, right = at[:-2], at[1:-1], at[2:]
    rising = torch.where(centre > left, (row - left) / (centre - left), torch.ones(()))
    falling = (right - row) / (right - centre)
    weights = torch.where((row >= left) & (row <= centre), rising, torch.zeros(()))
    weights = torch.where((row >= centre) & (row < right), falling, weights)
    return made(torch.where((centre == left) & (row == centre), 1.0, weights).double())


OPERATORS: dict[str, Builder] = {
    "Col2Im": columns_to_image,
    "DFT": fourier,
    "MelWeightMatrix": mel_weights,
    "STFT": short_time,
}
