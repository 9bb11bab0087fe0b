"""What autograd knows of a computation that no function mode has seen: compiled, scripted and custom functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction

ACTIVATIONS = frozenset(
    (
        "Relu",
        "Gelu",
        "Silu",
        "Elu",
        "Softplus",
        "Sigmoid",
        "Tanh",
        "LeakyRelu",
        "Hardtanh",
        "Hardswish",
        "Hardsigmoid",
        "Mish",
        "LogSigmoid",
        "LogSigmoidForward",
        "Softshrink",
        "Hardshrink",
        "Threshold",
        "PreluKernel",
        "RreluWithNoise",
        "Glu",
        "MaxPool2DWithIndices",
        "MaxPool3DWithIndices",
        "Erf",
    )
)
"""Backward nodes of activations, without their ending."""


class Nodes:
    """Backward nodes by identity, kept alive so that it stays theirs."""

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}

    def claim(self, outputs: Any, before: list[Any]) -> list[str]:
        """Mark the nodes of a call as seen, and name the activations among them.

        Args:
            outputs: what the call returned.
            before: the nodes of its inputs before it was made, as `roots` gives them.
        """
        fresh = list(_walk(roots(outputs), self.known | {id(node): node for node in before}))
        self.known.update({id(node): node for node in fresh})
        return [name for name in map(_kind, fresh) if name in ACTIVATIONS]

    def unseen(self, output: Tensor) -> Iterator[str]:
        """What stands behind `output` that no call was seen to make, one word for each node."""
        for node in _walk(roots(output), {}):
            if id(node) in self.known:
                continue
            if isinstance(node, BackwardCFunction):
                yield type(node).__name__.removesuffix("Backward")
            elif "DifferentiableGraph" in node.name():
                yield "TorchScript"
            elif (kind := _kind(node)) in ACTIVATIONS:
                yield kind.lower()


def _kind(node: Any) -> str:
    return re.sub(r"Backward\d*$", "", node.name())


def roots(values: Any) -> Iterator[Any]:
    """The backward nodes of all tensors in a nest of tuples, lists and dicts."""
    if isinstance(values, Tensor):
        if values.grad_fn is not None:
            yield values.grad_fn
    elif isinstance(values, dict):
        yield from roots(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from roots(value)


def _walk(roots: Iterable[Any], stop: dict[int, Any]) -> Iterator[Any]:
    """Every node from the roots down, once, not going beyond those in `stop`."""
    met, stack = dict(stop), list(roots)
    while stack:
        node = stack.pop()
        if node is None or id(node) in met:
            continue
        met[id(node)] = node
        yield node
        stack.extend(following for following, _ in node.next_functions)
