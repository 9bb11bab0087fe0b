"""The gate rules of the solvers in closed form: what a rule of `adrgd.solvers` computes, for chains of ReLU layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch

from adrgd.activations import LOGISTIC
from adrgd.rl.chain import Array, Chain, combine
from adrgd.rows import RowRandom
from adrgd.solvers.graduated import GraduatedGates


@dataclass(frozen=True)
class Task:
    """What is maximised, and for how long.

    Attributes:
        chains: the critics, at the batch's states.
        how: "first", "mean" or "min" of their values.
        scale: (B, A) the domain's natural length of each action.
        steps: iterations of the run.
        seed: of the probes.
    """

    chains: Sequence[Chain]
    how: str
    scale: Array
    steps: int
    seed: int

    def value(self, x: Array) -> Array:
        """(B,) what is maximised, at the actions x."""
        return combine([chain.forward(x) for chain in self.chains], self.how)[0]

    def noise(self, width: int, label: str, t: int) -> Array:
        """(1, width) the normal numbers that the general path draws there; all rows share them."""
        return _noise(self.seed, width, label, t, torch.from_numpy(self.scale).dtype)


class ClosedGates(Protocol):
    """A gate rule in closed form, with its state inside."""

    def evaluate(self, x: Array, t: int) -> tuple[Array, Array]:
        """Iteration t: the true value (B,) at the actions x (B, A), and the direction (B, A) in which they move."""


class TrueClosed:
    """`TrueGates`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.slopes = [chain.new() for chain in task.chains]

    def evaluate(self, x: Array, t: int) -> tuple[Array, Array]:
        value, weights = combine([chain.forward(x) for chain in self.task.chains], self.task.how)
        for chain, slopes in zip(self.task.chains, self.slopes, strict=True):
            np.sign(chain.z.flat, out=slopes.flat)
        return value, self.gradient(weights)

    def gradient(self, weights: Sequence[Array | None]) -> Array:
        """The weighted sum of the critics' gradients with the slopes as they are."""
        parts = [c.backward(s, w) for c, s, w in zip(self.task.chains, self.slopes, weights, strict=True)]
        return sum(parts[1:], parts[0])


class GraduatedClosed(TrueClosed):
    """`GraduatedGates` on all layers, without restarts."""

    def __init__(self, task: Task, gates: GraduatedGates, x: Array) -> None:
        super().__init__(task)
        self.gates = gates
        self.inverse = [chain.new() for chain in task.chains]
        self.square = [chain.new() for chain in task.chains]
        self.change = [chain.new() for chain in task.chains]
        for chain in task.chains:
            chain.forward(x)
        self._measure(1.0, 0)

    def evaluate(self, x: Array, t: int) -> tuple[Array, Array]:
        left = 1 - t / (self.gates.until * self.task.steps)
        if left <= 0:
            return super().evaluate(x, t)
        value, weights = combine([chain.forward(x) for chain in self.task.chains], self.task.how)
        for chain, slopes, inverse in zip(self.task.chains, self.slopes, self.inverse, strict=True):
            _soften(chain.h.flat, inverse.flat, left, slopes.flat)
        gradient = self.gradient(weights)
        if t > 0 and t % self.gates.probe_every == 0:
            self._measure(left, t)
        return value, gradient

    def _measure(self, left: float, t: int) -> None:
        """Carry a random change of the actions through the softened network: (P_j v)^2 estimates ||P_j||^2."""
        v = self.task.noise(self.task.scale.shape[1], "probe", t) * self.task.scale
        memory = self.gates.memory if t else 0.0
        tools = zip(self.task.chains, self.inverse, self.square, self.change, strict=True)
        for chain, inverse, square, change in tools:
            entry = v
            for k in range(len(change)):
                np.dot(entry, chain.weights[k].T, out=change[k])
                fresh = change[k] * change[k]
                fresh += memory * (square[k] - fresh)
                np.maximum(fresh, 1e-24, out=square[k])
                np.divide(LOGISTIC / self.gates.sigma0, np.sqrt(square[k]), out=inverse[k])
                if k + 1 < len(change):
                    entry = _soften(chain.h[k], inverse[k], left, fresh) * change[k]


def _soften(h: Array, inverse: Array, left: float, out: Array) -> Array:
    """The gates 1 / (1 + exp(-h inverse / left))."""
    np.multiply(h, inverse, out=out)
    out *= 1 / left
    return sigmoid(out)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) in place; torch has it without overflow, and fast."""
    torch.from_numpy(x).sigmoid_()
    return x


@lru_cache(maxsize=4096)
def _noise(seed: int, width: int, label: str, t: int, dtype: torch.dtype) -> Array:
    drawn: Array = RowRandom.seeded(seed, torch.zeros(1)).normal((width,), label, t, dtype).numpy()
    drawn.flags.writeable = False
    return drawn
