"""Operations counted against the numbers that follow from the shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adrgd.falsify.cost import Operations


@pytest.mark.parametrize(
    ("layer", "shape", "products"),
    [
        (nn.Linear(7, 5), (2, 7), 2 * 5 * 7),
        (nn.Conv2d(3, 4, 3, padding=1), (1, 3, 8, 8), 4 * 64 * 27),
        (nn.Conv2d(4, 4, 3, groups=2), (1, 4, 8, 8), 4 * 36 * 18),
        (nn.ConvTranspose2d(3, 4, 2, stride=2), (1, 3, 5, 5), 3 * 25 * 16),
    ],
)
def test_products_follow_from_the_shapes(layer: nn.Module, shape: tuple[int, ...], products: int) -> None:
    x, counted = torch.zeros(shape), Operations()
    with torch.no_grad(), counted:
        layer(x)
    assert counted.count == products


def test_every_other_number_counts_once() -> None:
    counted = Operations()
    with counted:
        torch.relu(torch.zeros(3, 4)) @ torch.zeros(4, 2)
    assert counted.count == 12 + 8 + 12 + 6 * 4  # zeros, zeros, ReLU, product
