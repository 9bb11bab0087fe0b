"""Sees activations inside any eager callable, and replaces what they compute.

A `TorchFunctionMode` meets each call of `F.relu`, `Tensor.relu_`, `nn.Hardtanh`, ... as it happens, so that modules
that are used twice, in-place forms and functional code in residual blocks need no tracing and no rewriting. Calls are
numbered in the order in which they happen; that number is the *layer*. `adrgd.activations` lists what is recognised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Self

from torch import Tensor
from torch.overrides import TorchFunctionMode

from adrgd.activations import RECOGNISERS, Activation, PiecewiseLinear
from adrgd.activations.choices import CHOICES
from adrgd.activations.expressions import Expressions, Nothing
from adrgd.activations.found import Found
from adrgd.activations.pools import POOLS
from adrgd.activations.units import UNITS, written_out
from adrgd.gates.call import Call
from adrgd.gates.eager import eager
from adrgd.gates.layers import Picked, Selected
from adrgd.gates.layouts import ROWS_FIRST

RECOGNISE: dict[Any, Callable[..., Any]] = {**RECOGNISERS, **POOLS, **CHOICES, **UNITS}
NONE = Nothing()


class Gates(TorchFunctionMode):
    """While active, hands the selected activation calls to `rule` and lets all others through.

    Args:
        rule: takes a `Call`, returns what the call is to return.
        layers: the layers to hand over; None means all that are piecewise linear.
        every: with None, hand over all others as well.
    """

    def __init__(self, rule: Callable[[Call], Any], layers: Selected = None, *, every: bool = False) -> None:
        super().__init__()
        self.rule, self.every, self.seen = rule, every, 0
        picked = layers if isinstance(layers, Picked) else Picked(layers or frozenset(), written=True)
        self.layers = None if layers is None else picked.numbers
        self.layouts = picked.layouts
        self.expressions = Expressions() if picked.written else NONE
        self.contexts: list[AbstractContextManager[None]] = []

    def __enter__(self) -> Self:
        self.contexts.append(eager())
        self.contexts[-1].__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self.contexts.pop().__exit__(*error)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        instead = written_out(func, args, kwargs)
        if instead is not None:
            with self:
                return instead(*args, **kwargs)
        recognise = RECOGNISE.get(func)
        found: Any = recognise(args, kwargs) if recognise else None
        found = found or self.expressions.match(func, args, kwargs)
        if found is None:
            answer = self.pass_on(func, args, kwargs)
        else:
            found = found if isinstance(found, Found) else Found(*found)
            layer, self.seen = self.seen, self.seen + 1
            if self._wants(layer, found.phi):
                answer = self.rule(Call(layer, found, func, args, kwargs, self.layouts.get(layer, ROWS_FIRST)))
            else:
                answer = func(*args, **kwargs)
        self.expressions.note(func, args, kwargs, answer, found, self.seen - 1)
        return answer

    def pass_on(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Make a call that is no activation."""
        return func(*args, **kwargs)

    def _wants(self, layer: int, phi: Activation) -> bool:
        if self.layers is not None:
            return layer in self.layers
        return self.every or isinstance(phi, PiecewiseLinear)


def noting(kept: list[Tensor]) -> Callable[[Call], Any]:
    """A rule that notes each call's pre-activations without their graph, and computes what the network does."""

    def note(call: Call) -> Any:
        kept.append(call.saved().detach())
        return call.original()

    return note
