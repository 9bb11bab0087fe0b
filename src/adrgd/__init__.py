"""Optimise the inputs of trained networks.

Names are imported from `adrgd.api` when they are asked for: torch takes seconds, and until then a command has to be
able to say its help, and to be interrupted.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adrgd.api import *  # noqa: F403

__version__ = "0.1.0"


class _Package(ModuleType):
    """`adrgd.maximize` is the function, although a module has that name too."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "maximize" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module 'adrgd' has no attribute {name!r}")
    if name != "maximize" and importlib.util.find_spec(f"adrgd.{name}") is not None:
        return importlib.import_module(f"adrgd.{name}")
    public = importlib.import_module("adrgd.api")
    if name == "__all__":
        return public.__all__
    if name not in public.__all__:
        raise AttributeError(f"module 'adrgd' has no attribute {name!r}")
    return getattr(public, name)


def __dir__() -> list[str]:
    return [*__getattr__("__all__"), "__version__"]
