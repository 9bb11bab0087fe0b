"""The step rules of the solvers on a box of actions, in NumPy; rules without such a form here are used as they are."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch

from adrgd.domain import BoundBox
from adrgd.rl.chain import Array
from adrgd.solvers.solver import Problem, StepRule
from adrgd.solvers.steps import GradientStep, Momentum, Normalised, Steepest


class ClosedStep(Protocol):
    """A step rule with its state inside."""

    def move(self, x: Array, gradient: Array, t: int) -> Array:
        """The next point (B, A), before projection."""


class _Straight:
    """Steepest, gradient and normalised steps, and momentum: a direction times a length that depends on t alone."""

    def __init__(self, step: Steepest | GradientStep | Normalised | Momentum, problem: Problem, reach: Array) -> None:
        length = step.rate if isinstance(step, GradientStep) else step.length
        self.lengths = [reach.dtype.type(length * step.decay(problem, t)) for t in range(problem.steps)]
        self.step, self.reach = step, reach
        self.sum = np.zeros_like(reach)
        self.tiny = np.finfo(reach.dtype).tiny

    def move(self, x: Array, gradient: Array, t: int) -> Array:
        there: Array = x + self.lengths[t] * self.direction(gradient)
        return there

    def direction(self, gradient: Array) -> Array:
        """What the length multiplies."""
        step = self.step
        if isinstance(step, GradientStep):
            return gradient
        if isinstance(step, Normalised):
            size = np.sqrt(np.add.reduce(gradient * gradient, axis=1, keepdims=True))
            unit: Array = gradient / np.maximum(size, self.tiny)
            return unit
        if isinstance(step, Momentum):
            size = np.add.reduce(np.abs(gradient), axis=1, keepdims=True)
            self.sum *= step.decay_rate
            self.sum += gradient / np.maximum(size, self.tiny)
            gradient = self.sum
        steepest: Array = np.sign(gradient) * self.reach
        return steepest


class _AsItIs:
    """Any other rule, on torch tensors that share the memory."""

    def __init__(self, step: StepRule, problem: Problem, x: Array) -> None:
        self.step, self.problem = step, problem
        self.state: Any = step.start(problem, torch.from_numpy(x))

    def move(self, x: Array, gradient: Array, t: int) -> Array:
        there, self.state = self.step.move(self.problem, torch.from_numpy(x), torch.from_numpy(gradient), self.state, t)
        return there.numpy()


def closed_step(step: StepRule, problem: Problem, box: BoundBox, x: Array) -> ClosedStep:
    """The rule for a run that begins at x (B, A) in this box."""
    if type(step) in (Steepest, GradientStep, Normalised, Momentum):
        return _Straight(step, problem, box.reach.numpy())  # type: ignore[arg-type]
    return _AsItIs(step, problem, x)
