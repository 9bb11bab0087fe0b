"""A flat list of steps over numbered slots: what files of graphs are compiled to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Step = Callable[[list[Any]], None]
"""Reads values from their slots and writes its results to others."""


def step(run: Callable[..., Any], inputs: Sequence[int], output: int) -> Step:
    """A step that calls `run` with the values in the slots `inputs` and keeps what it returns."""

    def call(values: list[Any]) -> None:
        values[output] = run(*[values[slot] for slot in inputs])

    return call


def unpack_step(run: Callable[..., Sequence[Any]], inputs: Sequence[int], outputs: Sequence[int]) -> Step:
    """Like `step`, for a function that returns one value for each of the slots `outputs`."""

    def call(values: list[Any]) -> None:
        for slot, value in zip(outputs, run(*[values[slot] for slot in inputs]), strict=True):
            values[slot] = value

    return call


def freeing(inner: Step, slots: Iterable[int]) -> Step:
    """A step that forgets the values in `slots` afterwards, so that their memory can be used again."""
    dead = tuple(slots)
    if not dead:
        return inner

    def call(values: list[Any]) -> None:
        inner(values)
        for slot in dead:
            values[slot] = None

    return call


class Program(nn.Module):
    """Runs steps in order, as a module whose constant tensors follow `.to(device, dtype)`.

    Constants are buffers: nothing in a program is trainable.

    Args:
        steps: what to run; no step may keep a tensor of its own.
        constants: the value of each slot that is known beforehand.
        size: how many slots there are.
        input: the slot of the argument of `forward`.
        output: the slot of its result.
    """

    def __init__(self, steps: Sequence[Step], constants: Mapping[int, Any], *, size: int, input: int, output: int):
        super().__init__()
        self.steps = tuple(steps)
        self.input, self.output = input, output
        self.start: list[Any] = [None] * size
        self.held: list[int] = []
        for slot, value in constants.items():
            if isinstance(value, Tensor):
                self.register_buffer(f"constant_{slot}", value.detach())
                self.held.append(slot)
            else:
                self.start[slot] = value
        self._collect()
        self.eval()

    def _collect(self) -> None:
        for slot in self.held:
            self.start[slot] = getattr(self, f"constant_{slot}")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Program:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._collect()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, self.steps, self.output)

    def run(self, x: Tensor, steps: Sequence[Step], output: int) -> Tensor:
        """What is in the slot `output` after these first steps."""
        values = self.start.copy()
        values[self.input] = x
        for call in steps:
            call(values)
        result: Tensor = values[output]
        return result


def relative_gap(found: Tensor, expected: Tensor) -> float:
    """The largest absolute difference, relative to the largest expected magnitude (infinite if the shapes differ)."""
    if found.shape != expected.shape:
        return float("inf")
    if not found.numel():
        return 0.0
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    scale = expected.abs().amax().clamp(min=torch.finfo(torch.float32).tiny)
    gap = float((found - expected).abs().amax() / scale)
    return gap if gap == gap else float("inf")
