"""Sees activations inside any eager callable, and replaces what they compute.

A `TorchFunctionMode` meets each call of `F.relu`, `Tensor.relu_`, `nn.Hardtanh`, ... as it happens, so that modules
that are used twice, in-place forms and functional code in residual blocks need no tracing and no rewriting. Calls are
numbered in the order in which they happen; that number is the *layer*. `adrgd.activations` lists what is recognised.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from adrgd.activations import RECOGNISERS, Activation, MaxPool, PiecewiseLinear, Slope
from adrgd.errors import ModelError, UsageError


@dataclass(frozen=True)
class Call:
    """One activation call: phi(h) on the pre-activations h (B, ...)."""

    layer: int
    h: Tensor
    phi: Activation
    in_place: bool
    function: Callable[..., Tensor]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def original(self) -> Tensor:
        """What the network computes by itself."""
        return self.function(*self.arguments, **self.options)

    def saved(self) -> Tensor:
        """h, safe from a network that overwrites it; still a part of the graph."""
        return self.h.clone() if self.in_place else self.h

    def answer(self, out: Tensor) -> Tensor:
        """Hand `out` back the way the network expects it: in place when the call was in place."""
        return self.h.copy_(out) if self.in_place else out

    @property
    def hinges(self) -> PiecewiseLinear:
        """phi, where the caller has selected piecewise-linear layers only."""
        if not isinstance(self.phi, PiecewiseLinear):
            raise UsageError(f"layer {self.layer} ({self.function.__name__}) is not piecewise linear; select others")
        return self.phi

    def with_slope(self, slope: Slope) -> Tensor:
        """The true value forwards; backwards, the gradient goes through `slope`."""
        out: Tensor = _TrueValue.apply(self.h, slope, self)  # type: ignore[no-untyped-call]
        return out


class _TrueValue(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, slope: Slope, call: Call) -> Tensor:
        ctx.slope = slope
        if call.in_place:
            ctx.mark_dirty(h)
        return call.original()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.slope.pull(grad), None, None


class Gates(TorchFunctionMode):
    """While active, hands the selected activation calls to `rule` and lets all others through.

    Args:
        rule: takes a `Call`, returns the layer's output.
        layers: the layer numbers to hand over; None means all that are piecewise linear.
        every: with None, hand over all others as well.
    """

    def __init__(
        self, rule: Callable[[Call], Tensor], layers: frozenset[int] | None = None, *, every: bool = False
    ) -> None:
        super().__init__()
        self.rule, self.layers, self.every, self.seen = rule, layers, every, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        recognise = RECOGNISERS.get(func)
        found = recognise(args, kwargs) if recognise else None
        if found is None:
            return func(*args, **kwargs)
        layer, self.seen = self.seen, self.seen + 1
        if self._wants(layer, found[1]):
            return self.rule(Call(layer, *found, func, args, kwargs))
        return func(*args, **kwargs)

    def _wants(self, layer: int, phi: Activation) -> bool:
        if self.layers is not None:
            return layer in self.layers
        return self.every or isinstance(phi, PiecewiseLinear)


def noting(kept: list[Tensor]) -> Callable[[Call], Tensor]:
    """A rule that notes each call's pre-activations without their graph, and computes what the network does."""

    def note(call: Call) -> Tensor:
        kept.append(call.saved().detach())
        return call.original()

    return note


@dataclass(frozen=True)
class Layer:
    """What is known of one activation layer before any solver runs.

    Attributes:
        number: its place in call order.
        name: the function that was called, e.g. "relu".
        shape: the shape of one row's pre-activations.
        phi: the activation function.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    phi: Activation

    @property
    def neurons(self) -> int:
        return int(torch.Size(self.shape).numel())


Layers = str | Iterable[int] | Callable[[Layer], bool]
"""Which layers to gate: "all", "last:K", a predicate, or numbers ("0,3", or a sequence).

Numbers count the layers that `find_layers` lists, from 0, and negative ones from the end; max-pooling layers have no
number, and are among "all".
"""


def find_layers(function: Callable[[Tensor], Any], x: Tensor, *, every: bool = False) -> list[Layer]:
    """Run `function` once on x (B, ...) and list the piecewise-linear layers that depend on x, or `every` layer.

    Raises:
        ModelError: a layer's first dimension is not the batch, so that its rows cannot be told apart.
    """
    found: list[Layer] = []

    def note(call: Call) -> Tensor:
        if call.h.requires_grad:  # a clamp of a weight is no neuron
            if call.h.dim() == 0 or call.h.shape[0] != len(x):
                raise ModelError(
                    f"activation layer {call.layer} ({call.function.__name__}) sees a tensor of shape "
                    f"{tuple(call.h.shape)}; expected its first dimension to be the batch of {len(x)} rows; "
                    "keep the rows apart there"
                )
            found.append(Layer(call.layer, call.function.__name__, tuple(call.h.shape[1:]), call.phi))
        return call.original()

    with torch.enable_grad(), Gates(note, every=every):
        function(x.detach().requires_grad_(True).clone())
    return found


def select(layers: Layers, among: list[Layer]) -> frozenset[int]:
    """The layer numbers that `layers` picks out of `among`.

    Raises:
        UsageError: `layers` does not parse, or names a layer that does not exist.
    """
    if callable(layers):
        return frozenset(layer.number for layer in among if layers(layer))
    if layers == "all":
        return frozenset(layer.number for layer in among)
    if not isinstance(layers, Iterable):
        raise _not_understood(layers)
    among = [layer for layer in among if not isinstance(layer.phi, MaxPool)]
    wanted: Iterable[int | str] = layers.split(",") if isinstance(layers, str) else layers
    if isinstance(layers, str) and layers.startswith("last:"):
        count = _integer(layers.removeprefix("last:"), layers)
        if count < 1:
            raise _not_understood(layers)
        wanted = range(-count, 0)
    picked = set()
    for item in wanted:
        at = _integer(item, layers)
        if not -len(among) <= at < len(among):
            raise UsageError(
                f"layers={layers!r} asks for layer {at}; expected one of the {len(among)} activation layers seen"
            )
        picked.add(among[at].number)
    return frozenset(picked)


def _integer(text: int | str, layers: object) -> int:
    try:
        return int(text) if isinstance(text, str) else operator.index(text)
    except (TypeError, ValueError):
        raise _not_understood(layers) from None


def _not_understood(layers: object) -> UsageError:
    return UsageError(f'layers={layers!r} is not understood; expected "all", "last:K" or numbers such as "0,2"')


def count_neurons(function: Callable[[Tensor], Any], x: Tensor, layers: Layers = "all") -> int:
    """The number of neurons of one row in the selected piecewise-linear layers of `function`, run on x (B, ...)."""
    among = find_layers(function, x)
    picked = select(layers, among)
    return sum(layer.neurons for layer in among if layer.number in picked)
