"""How a kernel, which is written for one example, runs on any number of them.

A value that depends on the input is stored with the examples along its first axis: as (B, *rest) when its shape in
the file starts with 1, as in (1, *rest), and as (B, *shape) when it does not. Which of the two it is follows from the
shape in the file, so nothing else has to be tracked. An operator runs on stored values as it stands wherever its
reach shows that this cannot mix examples, and through `torch.vmap` elsewhere, where no activation is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adrgd.models.onnx.kernels import Kernel, Reach


@dataclass(frozen=True)
class Value:
    """A named tensor of the graph, computed once for an example of zeros.

    Attributes:
        slot: where the program keeps it.
        varies: whether it depends on the input; if not, `example` is its value for every input.
        kind: its type in the file, one of `adrgd.models.onnx.kinds`.
    """

    slot: int
    example: Tensor
    varies: bool
    kind: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.example.shape)

    @property
    def leading(self) -> bool:
        """Whether the examples take the place of the first axis of the shape in the file."""
        return self.shape[:1] == (1,)


def batched(kernel: Kernel, inputs: list[Value], outputs: list[Value], *, several: bool) -> Callable[..., Any]:
    """The kernel as a function of stored values, which returns a tuple of them when there are `several` outputs."""
    varying = [value for value in inputs if value.varies]
    if kernel.reach is Reach.ORDER:
        tail = outputs[0].shape[1:] if outputs[0].leading else outputs[0].shape
        return lambda x: x.reshape(x.shape[0], *tail)
    if _runs_as_is(kernel.reach, inputs, varying, outputs):
        return kernel.run
    if kernel.reach in (Reach.POINT, Reach.BEHIND):
        rank = max(len(value.shape) for value in inputs) if kernel.reach is Reach.POINT else 0
        return _in_front(kernel.run, inputs, outputs, rank, several=several)
    mapped = torch.vmap(kernel.run, in_dims=tuple(0 if value.varies else None for value in inputs))
    return _in_front(mapped, inputs, outputs, 0, several=several)


def _in_front(
    function: Callable[..., Any], inputs: list[Value], outputs: list[Value], rank: int, *, several: bool
) -> Callable[..., Any]:
    """The function on tensors of the file's shapes with the examples in front, with `rank` axes behind them or more."""
    sizes = [(*[1] * (rank - len(value.shape)), *value.shape) for value in inputs]
    moved = [value.varies and (value.leading or len(value.shape) < rank) for value in inputs]

    def run(*stored: Tensor) -> Any:
        full = [x.reshape(x.shape[0], *size) if move else x for x, size, move in zip(stored, sizes, moved, strict=True)]
        result = function(*full)
        found = result if several else (result,)
        found = tuple(x.squeeze(1) if v.leading else x for x, v in zip(found, outputs, strict=False))
        return found if several else found[0]

    return run


def _runs_as_is(reach: Reach, inputs: list[Value], varying: list[Value], outputs: list[Value]) -> bool:
    ranks = {len(value.shape) for value in varying}
    leading = {value.leading for value in varying}
    if reach is Reach.POINT:
        return len(ranks) == len(leading) == 1 and all(_spreads_alike(value, ranks, leading) for value in inputs)
    if reach is Reach.LAST:
        return len(varying) == 1 and varying[0] is inputs[0] and (leading == {False} or ranks != {1})
    if reach is Reach.ROW:
        alone = len(varying) == 1 and varying[0] is inputs[0]  # weights that vary have no examples in front
        return alone and leading == {True} and all(value.leading for value in outputs)
    return False


def _spreads_alike(value: Value, ranks: set[int], leading: set[bool]) -> bool:
    """Whether a constant broadcasts against stored values as it does against the shapes in the file."""
    rank = max(ranks)
    if value.varies or len(value.shape) < rank:
        return True
    return len(value.shape) == rank and (value.leading or leading == {False})
