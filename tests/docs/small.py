"""A network that takes the place of the bundled one where pages show many calls, so that their test takes seconds."""

from __future__ import annotations

import torch
from torch import nn


def small_network() -> nn.Module:
    """(B, 1, 28, 28) -> (B, 10), in eval mode; random, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10)]
    return nn.Sequential(*layers).eval().requires_grad_(False)
