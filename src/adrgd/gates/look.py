"""Run a function once and list the activations in it: those that can be gated, and those that cannot, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from adrgd.activations import PiecewiseLinear
from adrgd.activations.choices import Largest
from adrgd.activations.found import Found
from adrgd.activations.others import HIDES, KEEPS_OWN, MOVES_ROWS
from adrgd.gates.call import Call
from adrgd.gates.graph import Nodes, roots
from adrgd.gates.layers import Layer, Layers, Picked, select
from adrgd.gates.layouts import ROWS_FIRST, Layout, differs, tell
from adrgd.gates.mode import Gates
from adrgd.gates.modules import current_module
from adrgd.gates.outside import is_outside

OWN = "its own derivative is the right one"
FACTOR = "it is a factor of an expression that is no known activation, and keeps its own derivative"
IN_VMAP = "it runs inside torch.func, where rows have no dimension of their own"
HIDDEN = "it runs where its calls cannot be seen (TorchScript, a compiled or custom function)"
NAMES = {getattr(F, name): name for name in ("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")}
"""Functions whose own name tells nothing."""
ROWS = 4  # of a batch are enough to look at; two could be taken for another dimension of extent two


@dataclass(frozen=True)
class Other:
    """A nonlinear call, or several of one kind, that no gate stands for.

    Attributes:
        kind: what it is called.
        why: why it has none.
        own: it keeps its own derivative because that is the right one, and nothing is lost.
        count: how many calls.
    """

    kind: str
    why: str
    own: bool = False
    count: int = 1


@dataclass(frozen=True)
class Inventory:
    """The activations of a function, in call order.

    Attributes:
        layers: those that can be gated.
        others: those that cannot.
        written: some layers are written out.
    """

    layers: tuple[Layer, ...]
    others: tuple[Other, ...] = ()
    written: bool = False

    def pick(self, layers: Layers, *, hinges: bool = False) -> Picked:
        """Select among all of them, or among those that are piecewise linear (`hinges`)."""
        among = [layer for layer in self.layers if not hinges or isinstance(layer.phi, PiecewiseLinear)]
        numbers = select(layers, among)
        layouts = {layer.number: layer.layout for layer in among if layer.layout != ROWS_FIRST}
        return Picked(numbers, layouts, self.written)


class _Look(Gates):
    """Lets everything through and takes notes."""

    def __init__(self) -> None:
        super().__init__(self._note, every=True)
        self.found: dict[int, tuple[Layer, Tensor, frozenset[int]]] = {}
        self.others: Counter[Other] = Counter()
        self.nodes = Nodes()
        self.moves_rows = False

    def _note(self, call: Call) -> Any:
        found, h = call.found, call.found.h
        if not h.requires_grad or not torch.is_grad_enabled():
            return call.original()  # a clamp of a weight is no neuron, nor what a custom function computes inside
        if is_functorch_wrapped_tensor(h):
            self.others[Other(_kind(found), IN_VMAP)] += 1
        else:
            name = getattr(call.function, "__name__", call.name)
            layer = Layer(
                call.layer, name, tuple(h.shape), found.phi, kind=_kind(found), module=current_module(),
                outside=is_outside(),
            )  # fmt: skip
            self.found[call.layer] = layer, h.detach().clone(), found.parts
        before = list(roots(found.inputs or h))
        answer = call.original()
        self.nodes.claim(answer, before)
        return answer

    def pass_on(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        before = list(roots((args, kwargs)))
        answer = func(*args, **kwargs)
        activations = self.nodes.claim(answer, before)
        name = NAMES.get(func) or str(getattr(func, "__name__", "")).partition(".")[0]
        kind = name.strip("_") or "function"
        self.moves_rows |= name in MOVES_ROWS
        if is_outside():
            return answer
        if name in KEEPS_OWN and before:
            self.others[Other(kind, OWN, own=True)] += 1
        elif name in HIDES and before and self._chooses(name, args, kwargs):
            self.others[Other(kind, HIDES[name])] += 1
        elif activations:
            self.others[Other(kind, "no gate is known for it")] += 1
        return answer

    def _chooses(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether a choice by a condition is one by numbers that depend on the input."""
        if name not in ("where", "masked_fill"):
            return True
        conditions = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        return any(self.expressions.depends(value) for value in conditions if value.dtype == torch.bool)

    def inventory(self, out: Tensor, layouts: Mapping[int, Layout | None]) -> Inventory:
        """Everything that was seen, without what stands for nothing by itself."""
        within = frozenset[int]().union(*(parts for _, _, parts in self.found.values()))
        layers, others = [], self.others
        for number, (layer, raw, _) in self.found.items():
            layout = layouts[number]
            if number in within:
                continue
            if number in self.expressions.broken:
                others[Other(layer.kind, FACTOR)] += not layer.outside
            elif layout is None or not _keeps(layer, layout):
                why = f"its rows cannot be told apart in a tensor of shape {layer.shape}"
                others[Other(layer.kind, why)] += not layer.outside
            else:
                layers.append(replace(layer, layout=layout, shape=tuple(layout.rows_first(raw).shape[1:])))
        for kind, count in Counter(self.nodes.unseen(out)).items():
            others[Other(kind, HIDDEN)] += count
        written = any("written out" in layer.kind for layer, _, _ in self.found.values())
        listed = tuple(replace(other, count=count) for other, count in others.items() if count)
        return Inventory(tuple(layers), listed, written)


def look(function: Callable[[Tensor], Any], x: Tensor) -> Inventory:
    """Run `function` on x (B, ...) and list its activations.

    It is run three times where rows may have moved to another dimension, as in a network of transformers: the rows of a
    layer are then told by what changes when the first row of x does.
    """
    x = x.detach()
    seen, out = _run(function, x)
    count = len(x)
    moved = seen.moves_rows or any(layer.shape[:1] != (count,) for layer, _, _ in seen.found.values())
    changed: dict[int, Tensor] = {}
    if moved and count > 1:
        other = x.clone()
        noise = torch.randn(x[0].shape, generator=torch.Generator().manual_seed(0)).to(x)
        other[0] += 0.1 * (1 + x[0].abs()) * noise
        raw = _run(function, other)[0].found
        changed = {k: differs(raw[k][1], h) for k, (_, h, _) in seen.found.items() if k in raw and _same(raw[k][1], h)}
    layouts = {k: tell(layer.shape, count, changed.get(k)) for k, (layer, _, _) in seen.found.items()}
    return seen.inventory(out, layouts)


def find_layers(function: Callable[[Tensor], Any], x: Tensor, *, every: bool = False) -> list[Layer]:
    """Run `function` on x (B, ...) and list the piecewise-linear layers that depend on x, or `every` layer."""
    return [layer for layer in look(function, x).layers if every or isinstance(layer.phi, PiecewiseLinear)]


def count_neurons(function: Callable[[Tensor], Any], x: Tensor, layers: Layers = "all") -> int:
    """The number of neurons of one row in the selected piecewise-linear layers of `function`, run on x (B, ...).

    Examples:
        >>> import adrgd, torch
        >>> adrgd.count_neurons(adrgd.load_model("bundled:mnist-pgd"), torch.zeros(2, 1, 28, 28))
        8396
    """
    among = find_layers(function, x)
    picked = select(layers, among)
    return sum(layer.neurons for layer in among if layer.number in picked)


def _run(function: Callable[[Tensor], Any], x: Tensor) -> tuple[_Look, Any]:
    seen = _Look()
    with torch.enable_grad():
        leaf = x.clone().requires_grad_(True)
        entry = leaf.clone()  # a network whose first operation is in place must not write into a leaf
        seen.nodes.claim(entry, list(roots(leaf)))
        with seen:
            out = function(entry)
    return seen, out


def _keeps(layer: Layer, layout: Layout) -> bool:
    """Whether a choice along some axes leaves the rows alone."""
    return not isinstance(layer.phi, Largest) or all(layout.axis(k) is not None for k in layer.phi.axes)


def _kind(found: Found) -> str:
    return found.name or found.phi.name


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape
