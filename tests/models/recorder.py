"""A mode that notes what a network calls."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode


class Recorder(TorchFunctionMode):
    """Keeps the functions that were called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func)
        return func(*args, **(kwargs or {}))
