"""What a recogniser says of a call: the pre-activations it sees, and how the call's answer follows from phi of them.

Most calls answer phi(h) itself. A few are an activation in disguise: max(a, b) is b + relu(a - b), a gated linear unit
is a * sigmoid(b). Those say how to get from phi(h) to the answer, and how a gradient on the answer is shared out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from adrgd.activations.slopes import Activation

Pull = Callable[[Tensor], Tensor]
"""Takes a gradient on phi(h) to one on h."""


def _itself(value: Any) -> Any:
    return value


def _pulled(gradient: Tensor, pull: Pull) -> tuple[Tensor, ...]:
    return (pull(gradient),)


@dataclass(frozen=True)
class Found:
    """An activation inside one function call.

    Attributes:
        h: the pre-activations.
        phi: the activation that acts on them.
        in_place: the call overwrites h with its answer.
        inputs: the tensors that the answer depends on; (h,) where it is left empty.
        answer: from phi(h) to the answer.
        spread: from a gradient on the answer, and the way back through phi, to the gradients on `inputs`.
        part: the tensor among what the function returns.
        whole: what the function returned, with another tensor in that place; None where it returns only a tensor.
        name: how to call it in tables, where the function's own name would mislead.
        parts: the numbers of calls that this one makes superfluous: those that a written-out activation is built from.
    """

    h: Tensor
    phi: Activation
    in_place: bool = False
    inputs: tuple[Tensor, ...] = ()
    answer: Callable[[Tensor], Tensor] = _itself
    spread: Callable[[Tensor, Pull], tuple[Tensor, ...]] = _pulled
    part: Callable[[Any], Tensor] = _itself
    whole: Callable[[Any, Tensor], Any] | None = None
    name: str = ""
    parts: frozenset[int] = frozenset()
