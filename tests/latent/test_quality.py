"""PSNR and SSIM have known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adrgd.latent.quality import psnr, ssim

pytest.importorskip("skimage", reason="needs the extra [latent]")


def test_known_values() -> None:
    targets = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.5
    np.testing.assert_allclose(psnr(targets + 0.1, targets), [20, 20], atol=1e-4)
    assert np.isinf(psnr(targets, targets)).all()
    np.testing.assert_allclose(ssim(targets, targets), [1, 1])
    assert (ssim(1 - targets, targets) < 0.5).all()


def test_small_images() -> None:
    assert ssim(torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 4, 6)).shape == (1,)
