"""Which module of a model is running, for tables that name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import nn

_running: ContextVar[tuple[str, ...]] = ContextVar("running", default=())


def current_module() -> str:
    """The dotted name of the module that runs, empty where nobody follows."""
    return _running.get()[-1] if _running.get() else ""


@contextmanager
def following(model: nn.Module) -> Iterator[None]:
    """While active, `current_module` knows which part of `model` runs."""

    def enter(name: str) -> Any:
        return lambda module, args: _running.set((*_running.get(), name)) and None

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        _running.set(_running.get()[:-1])

    hooks = []
    for name, module in model.named_modules():
        if name:
            hooks += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        _running.set(())
