"""Models made by a function of the user's own."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

from torch import nn

from adrgd.errors import ModelError
from adrgd.models.weights import load_named
from adrgd.specs import closest, parse_value

FACTORY = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")


def load_factory(base: str, query: dict[str, str], *, spec: str) -> nn.Module:
    """Call `package.module:factory` with the values of the query, and load the file under its key `weights`.

    Raises:
        ModelError: the function cannot be imported or called so, or does not return a module that the weights fit.
    """
    matched = FACTORY.fullmatch(base)
    if matched is None:
        raise ModelError(f"expected package.module:factory, found {base!r}; correct it")
    home, name = matched["module"], matched["name"]
    try:
        factory = getattr(importlib.import_module(home), name, None)
    except ImportError as error:
        raise ModelError(
            f"expected {home!r} of {spec!r} to be a module that Python can import, found: {error}; install it or put "
            "its folder on PYTHONPATH"
        ) from error
    if not callable(factory) or isinstance(factory, nn.Module):
        raise ModelError(
            f"expected {base!r} to be a function that returns a torch.nn.Module, found {type(factory).__name__}; "
            "name such a function"
        )
    weights = query.pop("weights", None)
    arguments = {key: parse_value(value) for key, value in query.items()}
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        known = ("weights", "mean", "std", *inspect.signature(factory).parameters)
        hint = next((found for key in arguments if key not in known and (found := closest(key, known))), "")
        raise ModelError(
            f"expected the keys after the '?' of {spec!r} to be arguments of {name}, found: {error}{hint}; correct them"
        ) from error
    module = factory(**arguments)
    if not isinstance(module, nn.Module):
        raise ModelError(f"expected {base!r} to return a torch.nn.Module, found {type(module).__name__}; make it so")
    if weights is not None:
        load_named(module, Path(weights).expanduser())
    return module
