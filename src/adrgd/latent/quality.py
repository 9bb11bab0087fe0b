"""How near an image is to another, in the field's two measures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from adrgd.errors import optional


def psnr(images: Tensor, targets: Tensor) -> NDArray[np.float64]:
    """(B,) peak signal-to-noise ratios in dB of images (B, C, H, W) in [0, 1]; infinite where they are equal."""
    metrics = optional("skimage.metrics", extra="latent")
    with np.errstate(divide="ignore"):
        found = [metrics.peak_signal_noise_ratio(b, a, data_range=1.0) for a, b in _pairs(images, targets)]
    return np.array(found, dtype=np.float64)


def ssim(images: Tensor, targets: Tensor) -> NDArray[np.float64]:
    """(B,) structural similarities of images (B, C, H, W) in [0, 1]; 1 where they are equal."""
    metrics = optional("skimage.metrics", extra="latent")
    side = min(images.shape[-2:])
    window = min(7, side - 1 + side % 2)  # odd, and within the image
    found = [
        metrics.structural_similarity(b, a, data_range=1.0, channel_axis=0, win_size=window)
        for a, b in _pairs(images, targets)
    ]
    return np.array(found, dtype=np.float64)


def _pairs(images: Tensor, targets: Tensor) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return [(a.double().cpu().numpy(), b.double().cpu().numpy()) for a, b in zip(images, targets, strict=True)]
