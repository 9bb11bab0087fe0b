"""Generators so small that their codes are found within a test."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(scope="session")
def generator() -> nn.Sequential:
    """Codes of 4 numbers to images (1, 8, 8)."""
    torch.manual_seed(0)
    layers = [nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8))]
    return nn.Sequential(*layers).eval().requires_grad_(False)


@pytest.fixture
def targets(generator: nn.Sequential) -> Tensor:
    """Six images that the generator makes."""
    return generator(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)))
