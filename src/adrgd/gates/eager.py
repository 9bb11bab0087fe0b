"""Ways of running a model that hide its calls, turned off while they are looked for.

`torch.compile` is told to run the original code. `torch.utils.checkpoint`, which computes a part of the network anew
during the backward pass, where nothing is gated any more, calls that part as if it were not there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.utils.checkpoint as checkpointing


@contextmanager
def eager() -> Iterator[None]:
    """While active, compiled functions run as they were written, and checkpoints keep what they compute."""
    with ExitStack() as stack:
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(without_checkpoints())
        yield


class _Straight:
    """Stands in for the autograd function of reentrant checkpoints."""

    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        return function(*args)


def _straight(*args: Any, **kwargs: Any) -> Iterator[None]:
    """Stands in for the frame around a checkpoint that is not reentrant: `checkpoint` calls the function inside it."""
    yield


@contextmanager
def without_checkpoints() -> Iterator[None]:
    """While active, `torch.utils.checkpoint` calls what it is given as if it were not there."""
    names = {"CheckpointFunction": _Straight, "_checkpoint_without_reentrant_generator": _straight}
    kept = {name: getattr(checkpointing, name) for name in names if hasattr(checkpointing, name)}
    for name in kept:
        setattr(checkpointing, name, names[name])
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(checkpointing, name, value)
