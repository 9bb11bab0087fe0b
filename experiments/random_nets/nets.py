"""Random ReLU networks by the recipe of the study, and many of them evaluated at once.

Layer by layer, in order: rng = numpy.random.default_rng(seed); W = rng.uniform(-1, 1, (out, in)); b = rng.uniform(-1,
1, (out,)); both rounded to float32. A ReLU between layers, none after the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

MODELS: dict[str, tuple[int, ...]] = {
    "A": (10, 64, 64, 1),
    "B": (10, 500, 500, 500, 1),
    "C": (128, 500, 500, 500, 1),
}
"""The widths of the paper's Table 1(b)."""


@dataclass(frozen=True)
class Layer:
    weight: Tensor
    """(nets, out, in)"""
    bias: Tensor
    """(nets, out)"""


def draw(widths: Sequence[int], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The weights and biases of one network."""
    rng = np.random.default_rng(seed)
    layers = []
    for inside, outside in pairwise(widths):
        weight = rng.uniform(-1, 1, (outside, inside)).astype(np.float32)
        layers.append((weight, rng.uniform(-1, 1, (outside,)).astype(np.float32)))
    return layers


class Nets:
    """Networks of equal widths, one a row: an objective for `adrgd.maximize`.

    Row number r is the network r modulo their number, so that several starts of every network can be rows of one batch.
    """

    def __init__(self, widths: Sequence[int], seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> None:
        self.widths, self.seeds = tuple(widths), tuple(seeds)
        drawn = [draw(widths, seed) for seed in seeds]
        self.layers = [
            Layer(
                torch.from_numpy(np.stack([net[k][0] for net in drawn])).to(dtype),
                torch.from_numpy(np.stack([net[k][1] for net in drawn])).to(dtype),
            )
            for k in range(len(widths) - 1)
        ]
        self.order = torch.arange(len(seeds))

    def __len__(self) -> int:
        return len(self.seeds)

    def __call__(self, x: Tensor, rows: Tensor) -> Tensor:
        nets = rows % len(self)
        if len(nets) % len(self) == 0 and (nets.view(-1, len(self)) == self.order).all():
            return self._every_net(x)
        return self._some_nets(x, nets)

    def _every_net(self, x: Tensor) -> Tensor:
        """Rows in the order net 0, 1, ..., 0, 1, ...: one matrix product a network and layer, no copy of weights."""
        count = len(self)
        for k, layer in enumerate(self.layers):
            h = torch.baddbmm(
                layer.bias[:, None], x.view(-1, count, x.shape[1]).transpose(0, 1), layer.weight.transpose(1, 2)
            )
            x = h.transpose(0, 1).reshape(-1, h.shape[2])  # the batch first again: a row's neurons belong together
            if k < len(self.layers) - 1:
                x = torch.relu(x)
        return x[:, 0]

    def _some_nets(self, x: Tensor, nets: Tensor) -> Tensor:
        for k, layer in enumerate(self.layers):
            x = torch.baddbmm(layer.bias[nets][:, None], x[:, None], layer.weight[nets].transpose(1, 2))[:, 0]
            if k < len(self.layers) - 1:
                x = torch.relu(x)
        return x[:, 0]
