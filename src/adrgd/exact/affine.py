"""The network as the exact solver sees it: affine maps in float64 with a ReLU between each two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adrgd.activations.hinges import RELU
from adrgd.bounds.network import Matrices
from adrgd.errors import ModelError, UsageError

PER_LAYER = 4  # roundings beside those of the sums of a product


@dataclass(frozen=True)
class Mlp:
    """A multilayer perceptron: `x -> W_k relu(... relu(W_1 x + b_1) ...) + b_k`.

    Every weight is a float64 matrix of shape (outputs, inputs) on the CPU, every bias a float64 vector.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if not self.weights or len(self.weights) != len(self.biases):
            raise ModelError(
                f"an Mlp needs as many biases as weights and at least one of each, found {len(self.weights)} weights "
                f"and {len(self.biases)} biases; pass one (weight, bias) pair for every affine layer"
            )
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            _check_layer(number, weight, bias)
        for number, (before, after) in enumerate(zip(self.weights, self.weights[1:], strict=False), start=1):
            if before.shape[0] != after.shape[1]:
                raise ModelError(
                    f"layer {number} has {before.shape[0]} outputs but layer {number + 1} takes {after.shape[1]} "
                    "inputs; pass weights whose shapes chain"
                )

    @classmethod
    def from_layers(cls, layers: Sequence[tuple[Tensor, Tensor]]) -> Mlp:
        """Copy (weight, bias) pairs of any float type and device."""
        double = [(_as_double(weight), _as_double(bias)) for weight, bias in layers]
        return cls(tuple(weight for weight, _ in double), tuple(bias for _, bias in double))

    @property
    def inputs(self) -> int:
        return self.weights[0].shape[1]

    @property
    def outputs(self) -> int:
        return self.weights[-1].shape[0]

    @property
    def hidden(self) -> int:
        """Number of ReLU layers."""
        return len(self.weights) - 1

    def __call__(self, points: Tensor) -> Tensor:
        """Evaluate a batch: (N, inputs) -> (N, outputs)."""
        last = self.hidden
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            points = torch.addmm(bias, points, weight.T)
            if index < last:
                points = points.relu_()
        return points

    def network(self) -> Matrices:
        """The same as its bounds see it."""
        parts = tuple({index: weight} for index, weight in enumerate(self.weights))
        sizes = [(inputs, outputs) for outputs, inputs in map(Tensor.size, self.weights)]
        roundings = tuple((inputs + PER_LAYER, outputs + PER_LAYER) for inputs, outputs in sizes)
        return Matrices(
            self.inputs, self.outputs, (RELU,) * self.hidden, tuple(len(weight) for weight in self.weights[:-1]),
            self.biases, roundings, parts, tuple({k: part[k].abs()} for k, part in enumerate(parts)),
        )  # fmt: skip

    def combined(self, row: Tensor | Sequence[float], offset: float = 0.0) -> Mlp:
        """The scalar network `row . outputs + offset`."""
        coefficients = _as_double(torch.as_tensor(row))
        if coefficients.shape != (self.outputs,):
            raise UsageError(
                f"a row with one coefficient for each of the {self.outputs} outputs was expected, found shape "
                f"{tuple(coefficients.shape)}; pass a vector of that length"
            )
        weight = (coefficients @ self.weights[-1])[None]
        bias = (coefficients @ self.biases[-1] + offset)[None]
        return Mlp((*self.weights[:-1], weight), (*self.biases[:-1], bias))

    def output(self, index: int) -> Mlp:
        """The scalar network made of one output."""
        if not -self.outputs <= index < self.outputs:
            raise UsageError(f"the network has {self.outputs} outputs, found index {index}; pass a smaller index")
        row = slice(index % self.outputs, index % self.outputs + 1)
        return Mlp((*self.weights[:-1], self.weights[-1][row]), (*self.biases[:-1], self.biases[-1][row]))

    def negated(self) -> Mlp:
        """Minus the network, so that its maximum is minus the minimum of this one."""
        return Mlp((*self.weights[:-1], -self.weights[-1]), (*self.biases[:-1], -self.biases[-1]))


def _as_double(tensor: Tensor) -> Tensor:
    return tensor.detach().to(device="cpu", dtype=torch.float64, copy=True).contiguous()


def _check_layer(number: int, weight: Tensor, bias: Tensor) -> None:
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or 0 in weight.shape:
        raise ModelError(
            f"layer {number} needs a weight (outputs, inputs) and a bias (outputs,), found shapes "
            f"{tuple(weight.shape)} and {tuple(bias.shape)}; pass matching tensors"
        )
    if weight.dtype != torch.float64 or bias.dtype != torch.float64:
        raise ModelError(
            f"layer {number} must be float64, found {weight.dtype} and {bias.dtype}; build it with Mlp.from_layers"
        )
    if not (weight.isfinite().all() and bias.isfinite().all()):
        raise ModelError(f"layer {number} holds infinite or undefined numbers; pass a network of finite weights")
