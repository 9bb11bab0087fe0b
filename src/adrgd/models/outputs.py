"""The logits among what a model returns: a tensor, a tuple, a dict, an object with `.logits`, one number a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adrgd.errors import ModelError, warn
from adrgd.objective import Asked

Output = str | int | Callable[[Any], Tensor] | None
"""Which part of a model's answer are its logits: a name, an index, or a function; None for the obvious one."""


class Logits(nn.Module):
    """A model whose answer is its logits (B, C).

    One number a row, as (B, 1) or (B,), is the logit of class 1 against class 0: it becomes the pair (0, z), whose
    cross-entropy is the binary one and whose margin is z.

    Args:
        model: any callable on a batch.
        output: see `Output`.
    """

    def __init__(self, model: Callable[[Tensor], Any], output: Output = None) -> None:
        super().__init__()
        self.model, self.output = model, output
        self.said: set[str] = set()
        if isinstance(model, nn.Module):
            self.training = model.training
        else:
            self.eval()

    def forward(self, x: Tensor) -> Tensor:
        answer = self.model(x)
        logits = answer if isinstance(answer, Tensor) and self.output is None else self._chosen(answer)
        if logits.dim() == 1 or (logits.dim() == 2 and logits.shape[1] == 1):
            self._say("the model returns one number a row: it is taken as the logit of class 1 against class 0")
            one = logits.reshape(-1, 1)
            return torch.cat([torch.zeros_like(one), one], 1)
        return logits

    @property
    def furthest(self) -> Asked | None:
        """See `adrgd.objective.asked`."""
        return getattr(self.model, "furthest", None) if self.output is None else None

    def _chosen(self, answer: Any) -> Tensor:
        if self.output is None:
            name, logits = _obvious(answer)
            self._say(f"the model returns {type(answer).__name__}: {name} is taken as its logits")
            return logits
        if isinstance(answer, Tensor) and not callable(self.output):  # an index would pick rows of it
            raise ModelError(
                f"expected several outputs for output={self.output!r}, found that the model returns one tensor; leave "
                "output out"
            )
        try:
            logits = _named(answer, self.output)
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise ModelError(
                f"expected output={self.output!r} in what the model returns, found {_parts(answer)}; name one of them"
            ) from error
        if not isinstance(logits, Tensor):
            raise ModelError(
                f"expected a tensor as output={self.output!r}, found {type(logits).__name__}; name another"
            )
        return logits

    def _say(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.add(sentence)
            warn(sentence)


def parse_output(text: str) -> str | int:
    """The value of `?output=`: an index where it is a number, a name otherwise."""
    return int(text) if text.lstrip("-").isdigit() else text


def _named(answer: Any, output: str | int | Callable[[Any], Tensor]) -> Any:
    if callable(output):
        return output(answer)
    if isinstance(output, int) or isinstance(answer, Mapping):
        return answer[output]
    return getattr(answer, output)


def _obvious(answer: Any) -> tuple[str, Tensor]:
    tensors = tensors_of(answer)
    if "logits" in tensors:
        return "logits", tensors["logits"]
    flat = {name: t for name, t in tensors.items() if t.dim() == 2}
    found = flat if len(flat) == 1 else tensors
    if len(found) != 1:
        raise ModelError(
            f"expected a model that returns logits, found {_parts(answer)}; say which of them with output=, by name "
            "or index"
        )
    ((name, logits),) = found.items()
    return name, logits


def tensors_of(answer: Any) -> dict[str, Tensor]:
    """The floating-point tensors among several things that a model returns, by name or index."""
    if isinstance(answer, Mapping):
        items = list(answer.items())
    elif isinstance(answer, Sequence) and not isinstance(answer, str):
        items = list(enumerate(answer))
    else:
        items = list(vars(answer).items()) if hasattr(answer, "__dict__") else []
    return {str(name): t for name, t in items if isinstance(t, Tensor) and t.is_floating_point()}


def _parts(answer: Any) -> str:
    tensors = tensors_of(answer)
    if isinstance(answer, Tensor) or not tensors:
        return type(answer).__name__
    return f"{type(answer).__name__} of " + ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
