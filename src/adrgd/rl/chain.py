"""Q(s, .) in closed form: a critic of Linear layers with ReLUs between, at fixed states, in NumPy.

A refinement asks one small network for its gradient by the action a hundred times at the same state, and there the
overhead of a graph outweighs the arithmetic. So the state's part of the first layer is computed once, arrays are
allocated once, and a layer costs one product forwards and one backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

Array = NDArray[Any]


def linear_layers(network: nn.Module) -> list[nn.Linear] | None:
    """The Linear layers of a chain Linear, ReLU, ..., Linear with one output, on the processor; None for any other."""
    layers = list(network) if isinstance(network, nn.Sequential) else []
    if len(layers) < 3 or len(layers) % 2 == 0:
        return None
    if not all(type(layer) is (nn.ReLU if k % 2 else nn.Linear) for k, layer in enumerate(layers)):
        return None
    linears = [layer for layer in layers if isinstance(layer, nn.Linear)]
    plain = all(layer.bias is not None and layer.weight.device.type == "cpu" for layer in linears)
    return linears if plain and linears[-1].out_features == 1 else None


class Layers:
    """One array (B, n_k) for each hidden layer, side by side in memory.

    Attributes:
        flat: all of them as one array, so that one call can treat every neuron.
    """

    def __init__(self, rows: int, widths: Sequence[int], dtype: Any) -> None:
        self.flat = np.zeros(rows * sum(widths), dtype)
        ends = np.cumsum([rows * width for width in widths]).tolist()
        self._parts = [
            self.flat[end - rows * width : end].reshape(rows, width) for end, width in zip(ends, widths, strict=True)
        ]

    def __getitem__(self, k: int) -> Array:
        return self._parts[k]

    def __len__(self) -> int:
        return len(self._parts)


class Chain:
    """One critic at the states of a batch.

    Args:
        linears: its Linear layers; the last one has one output.
        features: (B, S) what it is given of the states.
        actions: A, the number of inputs that follow them.

    Attributes:
        h: pre-activations of the last `forward`.
        z: what the ReLUs made of them.
    """

    def __init__(self, linears: Sequence[nn.Linear], features: Array, actions: int) -> None:
        weights = [layer.weight.detach().numpy() for layer in linears]
        biases = [layer.bias.detach().numpy() for layer in linears]
        first = np.ascontiguousarray(weights[0][:, -actions:])
        self.weights = [first, *weights[1:-1]]
        self._turned = [weight.T for weight in self.weights]
        self.shifts = [features @ weights[0][:, :-actions].T + biases[0], *biases[1:-1]]
        self.last, self.bias = weights[-1][0], biases[-1][0]
        self.rows = len(features)
        self.widths = [layer.out_features for layer in linears[:-1]]
        self.h, self.z, self._g = self.new(), self.new(), self.new()

    def new(self) -> Layers:
        """Zeros in the form of the hidden layers."""
        return Layers(self.rows, self.widths, self.last.dtype)

    def forward(self, x: Array) -> Array:
        """(B,) the values of the actions x (B, A)."""
        entry = x
        for k in range(len(self.h)):
            entry = np.maximum(self.into(k, entry, self.h[k]), 0, out=self.z[k])
        return self.value(entry)

    def into(self, k: int, entry: Array, out: Array) -> Array:
        """The pre-activations of hidden layer k for what enters it."""
        np.dot(entry, self._turned[k], out=out)
        out += self.shifts[k]
        return out

    def value(self, entry: Array) -> Array:
        """(B,) the output for what enters the last layer."""
        value: Array = np.dot(entry, self.last)
        value += self.bias
        return value

    def backward(self, slopes: Layers, weight: Array | None = None) -> Array:
        """(B, A) the gradient with these slopes instead of the ReLUs', times a weight (B,) a row."""
        np.multiply(slopes[-1], self.last, out=self._g[-1])
        if weight is not None:
            self._g[-1][...] *= weight[:, None]
        return self.pull(self._g, slopes)

    def pull(self, g: Layers, slopes: Layers, entering: Layers | None = None) -> Array:
        """(B, A) the gradient at the actions when g[-1] is the one at the last hidden pre-activations.

        `entering` adds a gradient at each of the hidden layers before. g is filled on the way.
        """
        for k in range(len(g) - 1, 0, -1):
            below = np.dot(g[k], self.weights[k], out=g[k - 1])
            below *= slopes[k - 1]
            if entering is not None:
                below += entering[k - 1]
        gradient: Array = np.dot(g[0], self.weights[0])
        return gradient


def combine(values: Sequence[Array], how: str) -> tuple[Array, list[Array | None]]:
    """The mean or the minimum of several critics' values (B,), and each critic's weight (B,) in its gradient."""
    if len(values) == 1:
        return values[0], [None]
    if how == "mean":
        share = np.full_like(values[0], 1 / len(values))
        return sum(values[1:], values[0]) * share, [share] * len(values)
    stacked = np.stack(values)
    lowest = stacked.argmin(0)
    return stacked.min(0), [(lowest == k).astype(stacked.dtype) for k in range(len(values))]
