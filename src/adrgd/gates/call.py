"""One activation call inside a network, and the ways to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from adrgd.activations import Activation, PiecewiseLinear, Slope
from adrgd.activations.choices import Largest
from adrgd.activations.found import Found
from adrgd.errors import UsageError
from adrgd.gates.layouts import ROWS_FIRST, Layout

HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Call:
    """One activation call: phi(h) on the pre-activations h.

    Attributes:
        layer: its number in the order of calls.
        found: what was recognised.
        function, arguments, options: the call itself.
        layout: where the rows are.
    """

    layer: int
    found: Found
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    layout: Layout = ROWS_FIRST

    @cached_property
    def h(self) -> Tensor:
        """The pre-activations (B, ...), a part of the graph; in 32 bits where the network computes in 16."""
        return self._wide(self.found.h)

    @cached_property
    def phi(self) -> Activation:
        """The activation, whose axes are those of `h`."""
        phi = self.found.phi
        return phi.over(self.layout.axis) if isinstance(phi, Largest) else phi

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.found.name or str(getattr(self.function, "__name__", self.function))

    def original(self) -> Any:
        """What the network computes by itself."""
        return self.function(*self.arguments, **self.options)

    def saved(self) -> Tensor:
        """h, safe from a network that overwrites it; still a part of the graph."""
        return self.h.clone() if self.found.in_place else self.h

    def moved(self, before: Tensor) -> Tensor:
        """By how much h differs from what it was before; masked entries, at minus infinity, do not move."""
        difference = self.h - before
        return difference.nan_to_num_(0.0, 0.0, 0.0) if isinstance(self.phi, Largest) else difference

    def answer(self, out: Tensor) -> Any:
        """Hand phi(h) = `out` (B, ...) back the way the network expects it: in place when the call was in place."""
        tensor = self.found.answer(self.layout.back(out).to(self.found.h.dtype))
        return self.found.h.copy_(tensor) if self.found.in_place else self._whole(tensor)

    @property
    def hinges(self) -> PiecewiseLinear:
        """phi, where the caller has selected piecewise-linear layers only."""
        if not isinstance(self.phi, PiecewiseLinear):
            raise UsageError(f"layer {self.layer} ({self.name}) is not piecewise linear; select others")
        return self.phi

    def with_slope(self, slope: Slope) -> Any:
        """The true value forwards; backwards, the gradient goes through `slope`, which maps changes of `h`."""
        inputs = self.found.inputs or (self.found.h,)
        return self._whole(_TrueValue.apply(slope, self, *inputs))  # type: ignore[no-untyped-call]

    def pulled(self, gradient: Tensor, slope: Slope) -> tuple[Tensor, ...]:
        """A gradient on the call's answer, as ones on the tensors that it depends on."""

        def pull(part: Tensor) -> Tensor:
            return self.layout.back(slope.pull(self._wide(part)))

        return self.found.spread(gradient, pull)

    def _wide(self, t: Tensor) -> Tensor:
        t = self.layout.rows_first(t)
        return t.float() if t.dtype in HALF else t

    def _whole(self, tensor: Tensor) -> Any:
        if self.found.whole is None:
            return tensor
        with torch.no_grad():
            return self.found.whole(self.original(), tensor)


class _TrueValue(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, slope: Slope, call: Call, *inputs: Tensor) -> Tensor:
        ctx.slope, ctx.call, ctx.kinds = slope, call, [t.dtype for t in inputs]
        if call.found.in_place:
            ctx.mark_dirty(inputs[0])
        return call.found.part(call.original())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.call.pulled(gradient, ctx.slope)
        return None, None, *(g.to(kind) for g, kind in zip(gradients, ctx.kinds, strict=True))
