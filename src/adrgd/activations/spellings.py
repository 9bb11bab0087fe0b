"""Every way to call an activation: where torch keeps a function of this name, and how its arguments are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adrgd.activations.slopes import Activation

Found = tuple[Tensor, Activation, bool]
Recogniser = Callable[[tuple[Any, ...], Mapping[str, Any]], Found | None]
Build = Callable[..., Activation | None]


@dataclass(frozen=True)
class Entry:
    """An activation under one of torch's names.

    Attributes:
        build: from the pre-activations and the arguments given behind them, the activation; None is a call that is not
            one (two bounds in the wrong order, a negative width, dropout-like noise while training).
        names: torch's name, and its aliases. Those with an underscore behind them are the forms in place.
        arguments: behind the input, where all homes of the function take the same.
        functional: those of `torch.nn.functional`, where it has its own; "inplace" is looked after here.
    """

    build: Build
    names: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    functional: tuple[str, ...] | None = None

    def spellings(self) -> Iterator[tuple[Any, Recogniser]]:
        """Function objects that a TorchFunctionMode receives, and how to read a call of each."""
        for name in self.names:
            plain = _reader(self.build, self.arguments, in_place=False)
            over = _reader(self.build, self.arguments, in_place=True)
            for function in _homes(name):
                yield function, plain
            for function in _homes(f"{name}_"):
                yield function, over
            own = getattr(F, name, None)
            if own is not None and self.functional is not None:
                yield own, _reader(self.build, self.functional, in_place=False)


def _homes(name: str) -> Iterator[Any]:
    for home in (F, torch, Tensor, torch._C._nn, torch.special):
        if callable(function := getattr(home, name, None)):
            yield function
    packet = getattr(torch.ops.aten, name, None)
    if packet is not None:  # exported programs call an overload, TorchScript's replay a packet
        yield packet
        for overload in packet.overloads():
            yield getattr(packet, overload)


def _reader(build: Build, arguments: tuple[str, ...], *, in_place: bool) -> Recogniser:
    known = {"input", "self", "inplace", *arguments}

    def read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found | None:
        if len(args) > 1 + len(arguments) or not known.issuperset(kwargs):  # out=..., or an overload of its own
            return None
        given = dict(zip(("input", *arguments), args, strict=False)) | dict(kwargs)
        h = given.pop("input", None)
        h = given.pop("self", None) if h is None else h
        if not isinstance(h, Tensor) or not h.is_floating_point():
            return None
        over = bool(given.pop("inplace", False)) or in_place
        phi = build(h, **given)
        return None if phi is None else (h, phi, over)

    return read


def recognisers(entries: tuple[Entry, ...]) -> dict[Any, Recogniser]:
    """All spellings of all entries."""
    return {function: read for entry in entries for function, read in entry.spellings()}
