"""What is to be made large: losses of a classifier's logits, one output of a network, or any callable.

An objective takes x (B, ...) and returns (B,) values, or a `Score` that also says which rows have reached their goal.
One that holds data of its own for each row takes a second argument, `rows`: the int64 positions, in the batch that was
first given to `maximize`, of the rows it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import NamedTuple, ParamSpec, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.errors import UsageError, warn


class Score(NamedTuple):
    """`value` (B,) to be maximised, and `reached` (B,), true where the goal is met and the row may stop."""

    value: Tensor
    reached: Tensor


def better(new: Score, old: Score) -> Tensor:
    """(B,) where `new` is to be kept instead of `old`: a success beats any failure, then the larger value wins."""
    return (new.reached & ~old.reached) | ((new.reached == old.reached) & (new.value > old.value))


A = ParamSpec("A")
Loss = Callable[[Tensor, Tensor], Tensor]
"""A loss takes logits (B, C) and one class a row (B,), and returns (B,) values."""


Asked = Callable[[Tensor, Tensor, bool], Tensor]
"""Of x (B, ...), one class a row (B,) and whether it is a target: logits (B, C)."""


def asked(model: Callable[[Tensor], Tensor], x: Tensor, label: Tensor, *, targeted: bool) -> Tensor:
    """The logits of x where an attack is about these classes (B,).

    A group of models of which the worst counts answers with the member that is furthest from the attack's goal.
    """
    furthest: Asked | None = getattr(model, "furthest", None)
    return model(x) if furthest is None else furthest(x, label, targeted)


def _unseen(function: Callable[A, Tensor]) -> Callable[A, Tensor]:
    """In whose calls no function mode looks for activations: what a loss chooses is no part of the network."""

    @wraps(function)
    def run(*args: A.args, **kwargs: A.kwargs) -> Tensor:
        with torch._C.DisableTorchFunction():
            return function(*args, **kwargs)

    return run


@_unseen
def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """-log softmax(logits)[label].

    A network that is sure of the label leaves nothing of it: below the precision of the numbers the gradient fades and
    then is zero, which says nothing about robustness. There the gradient keeps its direction, that of the other
    logits' log-sum-exp minus the label's logit, and the size that it has at the limit.
    """
    loss = F.cross_entropy(logits, label, reduction="none")
    tiny = torch.finfo(logits.dtype).eps
    sure = loss.detach() < tiny
    if not sure.any():
        return loss
    rise = tiny * (_others(logits, label).logsumexp(1) - _own(logits, label))
    return torch.where(sure, loss.detach() + (rise - rise.detach()), loss)


@_unseen
def margin(logits: Tensor, label: Tensor) -> Tensor:
    """The largest other logit minus the label's: positive exactly when another class is ahead, zero when two tie."""
    return _others(logits, label).amax(1) - _own(logits, label)


@_unseen
def dlr(logits: Tensor, label: Tensor) -> Tensor:
    """The margin divided by the gap between the largest and the third largest logit (Croce & Hein 2020, eq 6).

    It does not change when the logits are rescaled. Below four classes the plain margin is used, with a warning.
    """
    if _too_few(logits):
        return margin(logits, label)
    top = logits.topk(3, dim=1).values
    return margin(logits, label) / (top[:, 0] - top[:, 2]).clamp_min(1e-12)


def normalised_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of the logits divided by their own norm, a constant to the gradient (the authors' MNIST code)."""
    return cross_entropy(_unit(logits), label)


def of_unit_logits(loss: Loss) -> Loss:
    """The loss of the logits divided by their own norm, a constant to the gradient."""
    return lambda logits, label: loss(_unit(logits), label)


def targeted_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """log softmax(logits)[target]."""
    return -cross_entropy(logits, target)


def targeted_margin(logits: Tensor, target: Tensor) -> Tensor:
    """The target's logit minus the largest other: positive exactly when the target is ahead, zero when two tie."""
    return -margin(logits, target)


@_unseen
def targeted_dlr(logits: Tensor, target: Tensor) -> Tensor:
    """The targeted margin divided by the gap between the largest logit and the mean of the third and fourth."""
    if _too_few(logits):
        return targeted_margin(logits, target)
    top = logits.topk(4, dim=1).values
    return targeted_margin(logits, target) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2).clamp_min(1e-12)


def targeted_normalised_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """log softmax of the logits, divided by their own norm, at the target."""
    return targeted_cross_entropy(_unit(logits), target)


LOSSES: dict[str, tuple[Loss, Loss]] = {
    "cross-entropy": (cross_entropy, targeted_cross_entropy),
    "margin": (margin, targeted_margin),
    "dlr": (dlr, targeted_dlr),
    "normalised-cross-entropy": (normalised_cross_entropy, targeted_normalised_cross_entropy),
}
"""Each loss by name: away from a label, and towards a target. All of them are to be maximised."""


def find_loss(name: str, *, targeted: bool) -> Loss:
    """The loss of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in LOSSES:
        raise UsageError(f"unknown loss {name!r}; expected one of {', '.join(LOSSES)}")
    return LOSSES[name][targeted]


@dataclass(frozen=True)
class Misclassify:
    """Drive a classifier away from the labels; a row has reached its goal when another class is predicted.

    Attributes:
        model: takes (B, ...), returns logits (B, C).
        labels: (N,) int64, indexed by `rows`.
    """

    model: Callable[[Tensor], Tensor]
    labels: Tensor
    loss: Loss = cross_entropy

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        return self.judge(asked(self.model, x, self.labels[rows], targeted=False), rows)

    def judge(self, logits: Tensor, rows: Tensor) -> Score:
        """The same from logits (B, C) that are known."""
        label = self.labels[rows]
        return Score(self.loss(logits, label), logits.argmax(1) != label)

    def of_unit_logits(self) -> Self:
        """The same goal, with the loss of the logits divided by their norm."""
        return replace(self, loss=of_unit_logits(self.loss))


@dataclass(frozen=True)
class Classify:
    """Drive a classifier towards the targets; a row has reached its goal when its target is predicted.

    Attributes:
        model: takes (B, ...), returns logits (B, C).
        targets: (N,) int64, indexed by `rows`.
    """

    model: Callable[[Tensor], Tensor]
    targets: Tensor
    loss: Loss = targeted_cross_entropy

    def __call__(self, x: Tensor, rows: Tensor) -> Score:
        return self.judge(asked(self.model, x, self.targets[rows], targeted=True), rows)

    def judge(self, logits: Tensor, rows: Tensor) -> Score:
        """The same from logits (B, C) that are known."""
        target = self.targets[rows]
        return Score(self.loss(logits, target), logits.argmax(1) == target)

    def of_unit_logits(self) -> Self:
        """The same goal, with the loss of the logits divided by their norm."""
        return replace(self, loss=of_unit_logits(self.loss))


@dataclass(frozen=True)
class Output:
    """One coordinate of a network's output (B, ...) flattened, or minus it with `sign=-1`."""

    network: Callable[[Tensor], Tensor]
    index: int = 0
    sign: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        out = self.network(x).reshape(len(x), -1)
        if not -out.shape[1] <= self.index < out.shape[1]:
            raise UsageError(f"output index {self.index} is out of range; the network has {out.shape[1]} outputs")
        return self.sign * out[:, self.index]


def _own(logits: Tensor, label: Tensor) -> Tensor:
    return logits.gather(1, label[:, None])[:, 0]


def _others(logits: Tensor, label: Tensor) -> Tensor:
    return logits.scatter(1, label[:, None], -torch.inf)


@_unseen
def _unit(logits: Tensor) -> Tensor:
    size: Tensor = logits.detach().norm(dim=1, keepdim=True)
    return logits / size.clamp_min(1e-12)


def _too_few(logits: Tensor) -> bool:
    few = logits.shape[1] < 4
    if few:
        warn(f"DLR needs at least 4 classes, found {logits.shape[1]}: the margin is used instead")
    return few
