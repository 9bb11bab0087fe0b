"""From any callable to a `Network`: its activations are seen as they are called, and autograd transposes the rest.

Every layer's output is replaced by a leaf of its own. What stands between the leaves and the next pre-activations is
affine (see `affine`), so that the derivative of it, asked for by rows, is the transposed map. No network is rewritten,
no operator is written a second time.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from adrgd.activations.sshaped import HEAVISIDE
from adrgd.bounds.affine import Affine
from adrgd.bounds.choosing import heaviside
from adrgd.bounds.curves import Shape
from adrgd.bounds.errors import NoBoundsError
from adrgd.bounds.network import Act, Matrices, Network, values_of
from adrgd.bounds.terms import tensors
from adrgd.gates import ROWS, Call, Gates, look

Function = Callable[[Tensor], Tensor]
ENTRIES = 6_000_000  # of all matrices together, up to which they are written out
NEURONS = 200_000  # of a network that is bounded at all
CHUNKS = (1, 4, 16, 32, 64, 128, 256, 512)  # rows of the graphs that are kept
KEPT = 16_000_000  # numbers of the largest of them
CLOSE = 1e-4  # the same in float32
SEEN, SAME, LOOSE = 3, 1e-7, 1e-2  # inputs on which the whole is compared, and how closely; if parts are written out
KEEP_TRUTH = ("minimum", "maximum", "amax", "amin", "relu", "abs")  # of truth values these are some
EXACT = 1e-8  # how closely, relative to the sum of all terms, the parts of a network must reproduce it


def read_network(function: Function, example: Tensor, *, entries: int | None = None) -> Network:
    """The network of a callable in double precision, which treats the rows of a batch independently.

    Args:
        example: any input (1, *shape) of it.
        entries: of all its matrices together, up to which they are written out.

    Raises:
        NoBoundsError: it has activations or operators without bounds.
    """
    traced = _Traced(function, example.detach().double()[:1])
    traced.check()
    traced._same()
    total = [traced.inputs, *traced.sizes]
    needed = sum(
        size * sum(total[source] for source in traced.sources[stage])
        for stage, size in enumerate([*traced.sizes, traced.outputs])
    )
    return _written_out(traced) if needed <= (ENTRIES if entries is None else entries) else traced


class _StageError(Exception):
    """The stage that was asked for is reached; `rows` are its results."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows


class _Traced:
    """A network that is run whenever one of its maps is needed."""

    dtype = torch.float64
    off: tuple[Tensor, ...] = ()

    def __init__(self, function: Function, example: Tensor) -> None:
        self.function, self.shape = function, example.shape[1:]
        self.inputs = example[0].numel()
        found = look(function, example.expand(ROWS, *self.shape).contiguous())
        self.picked = found.pick("all")
        self.written = {layer.number for layer in found.layers if "written out" in layer.kind}
        self.unused: frozenset[int] = frozenset()
        self._trace()
        unused = self._unused()
        if unused:
            self.unused = unused
            self._trace()

    def _trace(self) -> None:
        """Run it once, and find out what each layer takes."""
        self.curves: tuple[Shape, ...] = ()
        self.graphs: dict[int, tuple[list[Tensor], list[Tensor]]] = {}
        mode = Affine()
        counts: list[tuple[int, int]] = []

        def note(layer: int, h: Tensor) -> Tensor:
            counts.append(mode.roundings(heads[-1]))
            return torch.zeros_like(h)

        heads: list[Tensor] = []
        heads, out = self._run(torch.zeros(1, self.inputs, dtype=torch.float64), note, mode, heads)
        counts.append(mode.roundings(out))
        self.outputs = out.shape[1]
        self.sizes = tuple(head.shape[1] for head in heads)
        if sum(self.sizes) > NEURONS:
            raise NoBoundsError(f"bounds are found for at most {NEURONS} neurons, and there are {sum(self.sizes)}")
        self.constants = tuple(h[0].detach().clone() for h in (*heads, out))
        self.roundings = tuple(counts)
        leaves, heads = self._graph(1)
        self.sources = [
            tuple(
                at
                for at, part in enumerate(self._derivatives(leaves[: k + 1], head, torch.ones_like(head)))
                if part is not None
            )
            for k, head in enumerate(heads)
        ]

    def _unused(self) -> frozenset[int]:
        """Layers that nothing depends on, such as those that only lend a comparison its slope."""
        used = {len(self.sizes)}
        for stage in range(len(self.sizes), -1, -1):
            if stage in used:
                used |= {source - 1 for source in self.sources[stage]}
        return frozenset(range(len(self.sizes))) - used

    def pull(self, stage: int, rows: Tensor) -> Mapping[int, Tensor]:
        flat = rows.reshape(-1, rows.shape[-1])
        chunks = [size for size in CHUNKS if size * (self.inputs + sum(self.sizes)) <= KEPT] or [1]
        widths = [self.inputs, *self.sizes]
        parts: dict[int, list[Tensor]] = {source: [] for source in self.sources[stage]}
        at = 0
        while at < len(flat):
            left = len(flat) - at
            size = next((size for size in chunks if size >= left), chunks[-1])
            piece = flat[at : at + size]
            at += size
            leaves, heads = self._graph(size)
            full = (
                piece if len(piece) == size else torch.cat([piece, piece.new_zeros(size - len(piece), piece.shape[1])])
            )
            found = self._derivatives([leaves[source] for source in parts], heads[stage], full)
            for (source, pieces), part in zip(parts.items(), found, strict=True):
                if part is None:
                    part = torch.zeros(size, widths[source], dtype=self.dtype)
                pieces.append(part[: len(piece)])
        return {source: torch.cat(pieces).view(*rows.shape[:-1], -1) for source, pieces in parts.items()}

    def pick(self, stage: int, chosen: Tensor) -> Mapping[int, Tensor]:
        size = len(self.constants[stage])
        return self.pull(stage, torch.nn.functional.one_hot(chosen, size).to(self.dtype))

    def walk(self, x: Tensor, act: Act, stage: int | None = None) -> Tensor:
        return self._until(stage, x, act, Affine(dtype=self.dtype))

    def reach(self, x: Tensor, act: Act, stage: int | None = None) -> Tensor:
        return self._until(stage, x, act, Affine(absolute=True, dtype=self.dtype))

    def single(self) -> Network:
        """Rounding errors are allowed for as far as it is the same network; that is tried here."""
        if not isinstance(self.function, torch.nn.Module) or self.dtype != torch.float64:
            return self
        other = copy.copy(self)
        other.function, other.dtype, other.graphs = copy.deepcopy(self.function).float(), torch.float32, {}
        try:
            other.check(CLOSE)
        except (NoBoundsError, RuntimeError):
            return self
        return other

    def _until(self, stage: int | None, x: Tensor, act: Act, mode: Affine) -> Tensor:
        def watched(layer: int, h: Tensor) -> Tensor:
            if layer == stage:
                raise _StageError(h)
            return act(layer, h)

        try:
            return self._run(x, watched, mode)[1]
        except _StageError as reached:
            return reached.rows

    def check(self, closely: float = EXACT) -> None:
        """See that the parts give what the whole gives, on random numbers."""
        random = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=random, dtype=torch.float64).to(self.dtype)

        values = [drawn(3, self.inputs)]
        scales: list[Tensor] = []

        def act(layer: int, h: Tensor) -> Tensor:
            values.append(drawn(*h.shape))
            return values[-1].clone()

        heads, out = self._run(values[0], act)
        for stage, head in enumerate([*heads, out]):
            rows = drawn(3, head.shape[1])
            expected = (rows * (head - self.constants[stage])).sum(1)
            parts = self.pull(stage, rows)
            nothing = torch.zeros(3, dtype=self.dtype)
            found = sum(((part * values[source]).sum(1) for source, part in parts.items()), nothing)
            scale = sum(((part * values[source]).abs().sum(1) for source, part in parts.items()), torch.ones(3))
            scales.append(scale)
            scale = scale + (rows * self.constants[stage]).abs().sum(1)
            if not bool(((found - expected).abs() <= closely * scale).all()):
                where = (
                    f"in front of {self.curves[stage].name}" if stage < len(self.sizes) else "behind the last of them"
                )
                raise NoBoundsError(
                    f"no bounds are known for what stands between its activations: it is not affine ({where})"
                )

    def _same(self) -> None:
        """See that curves and maps together give what the function gives, on random inputs."""
        random = torch.Generator().manual_seed(1)
        x = torch.rand(SEEN, self.inputs, generator=random, dtype=self.dtype)
        with torch.no_grad():
            wanted = self.function(x.view(-1, *self.shape)).reshape(SEEN, -1)
        found = values_of(self, x)
        scale = 1 + wanted.abs().nan_to_num(0.0, 0.0).amax(1, keepdim=True)
        fine = ((found - wanted).abs() <= (LOOSE if self.written else SAME) * scale) | ~wanted.isfinite()
        if not bool(fine.all()):
            raise NoBoundsError("bounds see another function than the network is; one of its calls is misread")

    def _run(
        self, x: Tensor, act: Act, mode: Affine | None = None, heads: list[Tensor] | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """The pre-activations of all layers, which are added to `heads` as they come, and the outputs."""
        mode = mode or Affine(dtype=self.dtype)
        heads = [] if heads is None else heads
        shapes: list[Shape] = []
        numbers = itertools.count()

        def bend(shape: Shape, h: Tensor) -> Tensor:
            if next(numbers) in self.unused:
                with mode.pause():
                    return mode.vary(torch.zeros_like(h))
            if h.shape[0] != len(x):
                raise NoBoundsError("bounds need the rows of a batch to come first wherever there is an activation")
            heads.append(self._seen(mode, h.flatten(1) if h.ndim > 1 else h[:, None]))
            shapes.append(shape)
            with mode.pause():
                z = act(len(heads) - 1, heads[-1]).view(h.shape)
            return mode.vary(z)

        def rule(call: Call) -> Any:
            if call.phi is HEAVISIDE:
                out = heaviside(mode, call.saved(), call.options.get("values", call.arguments[-1]))
            else:
                out = mode.activation(call.phi, call.saved(), written=call.layer in self.written)
            if call.found.whole is None:
                answer = call.answer(out)
                if call.name in KEEP_TRUTH and all(map(mode.is_truth, tensors((call.arguments, dict(call.options))))):
                    mode.truth(answer)
                return answer
            with mode.pause():
                original = call.original()
            answer = call.found.whole(original, call.found.answer(call.layout.back(out)))
            for one in tensors(answer):  # the places of the largest are no constants either
                if not mode.varies(one):
                    mode.hide(one)
            return answer

        mode.bend = bend
        entry = mode.vary(x.view(-1, *self.shape).clone())
        with mode, Gates(rule, self.picked):
            out = self.function(entry)
            out = out.reshape(len(x), -1)
        self.curves = self.curves or tuple(shapes)
        if len(heads) != len(self.curves):
            raise NoBoundsError("bounds need the same activations in every run, found others")
        return heads, self._seen(mode, out)

    def _seen(self, mode: Affine, tensor: Tensor) -> Tensor:
        if id(tensor) in mode.unfollowed:
            raise NoBoundsError("no bounds are known for the places of numbers that were put in order")
        if not mode.varies(tensor):
            raise NoBoundsError("bounds need every call between the activations to be seen, and some are not")
        return tensor

    def _graph(self, rows: int) -> tuple[list[Tensor], list[Tensor]]:
        """Leaves and what follows from them, for a batch of so many rows."""
        if rows not in self.graphs:
            with torch.enable_grad():
                leaves = [torch.zeros(rows, self.inputs, dtype=self.dtype, requires_grad=True)]

                def leaf(layer: int, h: Tensor) -> Tensor:
                    leaves.append(torch.zeros(h.shape, dtype=self.dtype, requires_grad=True))
                    return leaves[-1]

                heads, out = self._run(leaves[0], leaf)
            self.graphs[rows] = leaves, [*heads, out]
        return self.graphs[rows]

    def _derivatives(self, leaves: list[Tensor], head: Tensor, rows: Tensor) -> tuple[Tensor | None, ...]:
        if not head.requires_grad:
            return (None,) * len(leaves)
        with torch.enable_grad():
            total = (head * rows).sum()  # torch imports a library of symbols, in a second, where rows are given to it
        return torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)


def _written_out(traced: _Traced) -> Matrices:
    parts = []
    for stage, size in enumerate([*traced.sizes, traced.outputs]):
        parts.append(dict(traced.pull(stage, torch.eye(size, dtype=torch.float64))))
    return Matrices(
        traced.inputs, traced.outputs, traced.curves, traced.sizes, traced.constants, traced.roundings, tuple(parts),
        tuple({source: matrix.abs() for source, matrix in part.items()} for part in parts),
    )  # fmt: skip
