"""Defences that a model's spec asks for, in front of the network, around its normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from adrgd.defences import DropoutOn, Noisy, ResizedAndPadded, Rounded, Smoothed
from adrgd.errors import AdrgdError, ModelError

DEFENCES: dict[str, Callable[[nn.Module, float], nn.Module]] = {
    "dropout": lambda model, on: DropoutOn(model) if on else model,
    "levels": lambda model, levels: Rounded(model, int(levels)),
    "resize": lambda model, least: ResizedAndPadded(model, int(least)),
    "noise": Noisy,
    "smooth": Smoothed,
}
"""By the key of a spec, from the innermost to the outermost."""

WORDS = {"on": 1.0, "off": 0.0}


def defended(module: nn.Module, query: dict[str, str], spec: str) -> nn.Module:
    """The module behind the defences that `query`, from which they were taken, asks for.

    Raises:
        ModelError: a value makes no sense.
    """
    for key, make in DEFENCES.items():
        if key in query:
            try:
                module = make(module, _number(query[key]))
            except AdrgdError as error:
                raise ModelError(f"{key}={query[key]} in {spec!r}: {error}") from None
    return module


def _number(text: str) -> float:
    try:
        value = WORDS[text] if text in WORDS else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ModelError(f"expected a number, or on, found {text!r}; correct it")
    return value
