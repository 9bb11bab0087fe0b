"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def assets() -> Path:
    """A folder of trained networks that are too large, or not free, to keep in the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "assets"
    folder = Path(os.environ.get("ADRGD_ASSETS", default))
    if not folder.is_dir():
        pytest.skip("needs a folder of trained networks; set ADRGD_ASSETS to it")
    return folder


@pytest.fixture
def mlp() -> nn.Sequential:
    """A fixed random 5-16-16-3 ReLU network in eval mode."""
    torch.manual_seed(0)
    layers = [nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny networks run fastest on one thread, and the same bits come out on every machine."""
    torch.set_num_threads(1)
