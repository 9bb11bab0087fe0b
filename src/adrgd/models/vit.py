"""Small vision transformers (Dosovitskiy et al. 2021): GELU, learnt positions, the mean of all tokens for the head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ViT(nn.Module):
    """Attention and two-layer networks over patches, beside shortcuts and behind layer normalisations; untrained.

    Takes images (B, channels, side, side) and returns logits (B, classes).

    Args:
        shape: of one image.
        patch: side of a patch in pixels.
        width: of a token.
        depth: blocks.
        heads: of each attention.
        expansion: how many times as wide a block is between its two layers.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        patch: int,
        width: int,
        depth: int,
        heads: int = 4,
        expansion: int = 2,
        classes: int = 10,
    ) -> None:
        super().__init__()
        channels, side, _ = shape
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.positions = nn.Parameter(0.02 * torch.randn((side // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, heads, expansion) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return logits


class Block(nn.Module):
    """What each token learns from the others, then from itself."""

    def __init__(self, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.network = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm(tokens))
        out: Tensor = tokens + self.network(tokens)
        return out


class Attention(nn.Module):
    """Each token (B, T, width) as a mean of all, weighted by how queries and keys agree."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.inward(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.outward(mixed.transpose(1, 2).flatten(2))
        return out
