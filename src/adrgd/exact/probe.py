"""Read an `Mlp` out of any network that is a chain of affine maps and ReLUs, by asking it.

Between two ReLU layers the network is affine: set one layer's output to zero and to each unit vector, and the next
layer's pre-activations are its bias and the columns of its matrix. That works for ONNX graphs, exported programs and
convolutions alike, without knowing how they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from adrgd.errors import ModelError
from adrgd.exact.affine import Mlp
from adrgd.gates import Call, Gates, Layer, find_layers

ROWS = 512  # rows of a batch
LARGEST = 40_000_000  # entries of one matrix


def mlp_from_network(network: Callable[[Tensor], Tensor], example: Tensor) -> Mlp:
    """The network as matrices in float64.

    Args:
        network: takes (B, *shape) in float64 and returns (B, ...).
        example: any input (1, *shape) of it.

    Raises:
        ModelError: it has other activations than ReLUs, a layer depends on more than the layer before it, or a matrix
            would be too large.
    """
    example = example.detach().double()
    layers = find_layers(network, example.repeat_interleave(2, 0), every=True)
    for layer in layers:
        if not layer.phi.is_relu:
            raise ModelError(
                f"layer {layer.number} is {layer.name}; only networks whose activations are ReLUs can be solved exactly"
            )
    stages = [_Stage(network, example, layers, k) for k in range(len(layers) + 1)]
    with torch.no_grad():
        return Mlp.from_layers([stage.matrix() for stage in stages])


class _Stage:
    """The affine map from the k-th layer's input (the network's own for k = 0) to the next pre-activations."""

    def __init__(self, network: Callable[[Tensor], Tensor], example: Tensor, layers: list[Layer], k: int) -> None:
        self.network, self.example, self.layers, self.k = network, example, layers, k
        self.inputs = example[0].numel() if k == 0 else layers[k - 1].neurons

    def matrix(self) -> tuple[Tensor, Tensor]:
        zero = torch.zeros(1, self.inputs, dtype=torch.float64)
        bias = self(zero)[0]
        if self.inputs * len(bias) > LARGEST:
            raise ModelError(
                f"layer {self.k} would need a matrix of {len(bias)} x {self.inputs}, too large to solve exactly; use a "
                "smaller network"
            )
        unit = torch.eye(self.inputs, dtype=torch.float64)
        weight = torch.cat([self(rows) - bias for rows in torch.split(unit, ROWS)]).T
        self._check(weight, bias)
        return weight, bias

    def _check(self, weight: Tensor, bias: Tensor) -> None:
        """Random inputs of this stage and of all before it must give what the matrix gives."""
        random = torch.Generator().manual_seed(0)
        z = torch.randn(4, self.inputs, dtype=torch.float64, generator=random)
        x = torch.randn(4, *self.example.shape[1:], dtype=torch.float64, generator=random)
        expected, found = z @ weight.T + bias, self(z, x)
        if not torch.allclose(found, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max())):
            raise ModelError(
                f"what follows ReLU layer {self.k} is no affine function of that layer alone (a skip connection, a "
                "pooling or another activation); only plain chains of affine maps and ReLUs can be solved exactly"
            )

    def __call__(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        """Feed z (B, inputs) into the stage; x is what the network itself is given."""
        seen: list[Tensor] = []

        def replace(call: Call) -> Any:
            at = [layer.number for layer in self.layers].index(call.layer)
            if at == self.k:
                seen.append(call.h.flatten(1).clone())
            out = z.view(-1, *call.h.shape[1:]) if at == self.k - 1 else call.h.clamp_min(0)
            return call.answer(out)

        if self.k == 0:
            x = z.view(-1, *self.example.shape[1:])
        elif x is None:
            x = self.example.expand(len(z), *self.example.shape[1:]).clone()
        with Gates(replace, frozenset(layer.number for layer in self.layers)):
            out = self.network(x)
        return seen[0] if seen else out.reshape(len(z), -1)
