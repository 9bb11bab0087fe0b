"""Read an `Mlp` out of a torch module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError
from adrgd.exact.affine import Mlp

_IGNORED = (nn.Flatten, nn.Identity, nn.Dropout)


def mlp_from_module(
    module: nn.Module, *, output: int | Tensor | Sequence[float] | None = None, offset: float = 0.0
) -> Mlp:
    """Copy a stack of Linear and ReLU layers in float64; Flatten, Identity and Dropout count as doing nothing.

    Args:
        module: an `nn.Sequential` (nested as you like), or a single Linear.
        output: index of the output to keep, or one coefficient for each output; by default all are kept.
        offset: a constant to add, when `output` is given.

    Neighbouring Linear layers are multiplied out, which rounds once in float64.
    """
    layers: list[tuple[Tensor, Tensor]] = []
    open_for_product = False
    for layer in _leaves(module):
        if isinstance(layer, nn.Linear):
            weight, bias = _linear(layer)
            if open_for_product:
                inner_weight, inner_bias = layers.pop()
                if weight.shape[1] != inner_weight.shape[0]:
                    raise ModelError(
                        f"a Linear with {weight.shape[1]} inputs follows one with {inner_weight.shape[0]} outputs; "
                        "pass layers whose shapes chain"
                    )
                weight, bias = weight @ inner_weight, weight @ inner_bias + bias
            layers.append((weight, bias))
            open_for_product = True
        elif not layers:
            raise ModelError("the first layer must be Linear, found ReLU; put an identity Linear in front of it")
        else:
            open_for_product = False
    if not layers:
        raise ModelError("a network with at least one Linear layer was expected, found none; pass an nn.Sequential")
    if not open_for_product:
        width = layers[-1][0].shape[0]
        layers.append((torch.eye(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64)))
    return _select(Mlp.from_layers(layers), output, offset)


def _select(mlp: Mlp, output: int | Tensor | Sequence[float] | None, offset: float) -> Mlp:
    if output is None:
        return mlp
    if isinstance(output, int):
        chosen = [0.0] * mlp.outputs
        mlp.output(output)  # refuses an index out of range
        chosen[output] = 1.0
        return mlp.combined(chosen, offset)
    return mlp.combined(output, offset)


def _leaves(module: nn.Module) -> Iterator[nn.Linear | nn.ReLU]:
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _leaves(child)
    elif isinstance(module, (nn.Linear, nn.ReLU)):
        yield module
    elif not isinstance(module, _IGNORED):
        raise ModelError(
            f"only Linear, ReLU and Flatten layers in nn.Sequential can be solved exactly, found "
            f"{type(module).__name__}; rewrite the network with those, or build an Mlp from its matrices"
        )


def _linear(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    weight = layer.weight.detach().to("cpu", torch.float64)
    bias = torch.zeros(weight.shape[0], dtype=torch.float64) if layer.bias is None else layer.bias
    return weight, bias.detach().to("cpu", torch.float64)
