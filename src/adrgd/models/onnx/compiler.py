"""Turn an ONNX graph, which is written for one example, into a program that takes any number of them.

A value that depends on the input is stored with the examples along its first axis: as (B, *rest) when its shape in
the file starts with 1, as in (1, *rest), and as (B, *shape) when it does not. Which of the two it is follows from the
shape in the file, so nothing else has to be tracked. An operator runs on stored values as it stands wherever its
reach shows that this cannot mix examples, and through `torch.vmap` elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adrgd import limits
from adrgd.errors import ModelError
from adrgd.models.onnx import layers, pointwise, shaping
from adrgd.models.onnx.graph import Graph, Node
from adrgd.models.onnx.kernels import Builder, Kernel, Reach, Site
from adrgd.models.onnx.room import Room
from adrgd.models.program import Program, Step, freeing, step, unpack_step

OPERATORS: dict[str, Builder] = {**pointwise.OPERATORS, **shaping.OPERATORS, **layers.OPERATORS}


@dataclass(frozen=True)
class Value:
    """A named tensor of the graph, computed once for an example of zeros.

    Attributes:
        slot: where the program keeps it.
        varies: whether it depends on the input; if not, `example` is its value for every input.
    """

    slot: int
    example: Tensor
    varies: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.example.shape)

    @property
    def leading(self) -> bool:
        """Whether the examples take the place of the first axis of the shape in the file."""
        return self.shape[:1] == (1,)


class Compiler:
    """Builds the program of one graph, node by node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {}
        self.steps: list[tuple[Step, list[int], list[int]]] = []
        self.constants: dict[int, Tensor] = {}
        self.count = 0
        for name, tensor in graph.constants.items():
            self._add(name, tensor, varies=False)
        self.room = Room()
        self.input = self._add(graph.input, self._start(), varies=True)

    def compile(self) -> tuple[Program, Value]:
        """The program and its output, as the file describes it for one example."""
        with torch.no_grad(), self.room:
            for node in self.graph.nodes:
                self._compile_node(node)
        output = self.values[self.graph.output]
        if not output.varies:
            raise ModelError("expected an output that depends on the input, found a constant; export the model again")
        return Program(
            self._steps_that_free(output.slot),
            self.constants,
            size=self.count,
            input=self.input.slot,
            output=output.slot,
        ), output

    def _start(self) -> Tensor:
        try:
            with self.room:
                return torch.zeros(self.graph.input_shape, dtype=torch.float64)
        except (limits.TooLargeError, RuntimeError, TypeError) as error:
            raise ModelError(
                f"expected an input of reasonable size, found {self.graph.input_shape}: {error}"
            ) from error

    def _add(self, name: str, example: Tensor, *, varies: bool) -> Value:
        value = self.values[name] = Value(self.count, example, varies)
        self.count += 1
        return value

    def _compile_node(self, node: Node) -> None:
        build = OPERATORS.get(node.op)
        if build is None:
            raise ModelError(
                f"{node} is not one that can be run; export the model without it, or load it as a PyTorch module "
                "through package.module:factory"
            )
        given = [self._lookup(name, node) if name else None for name in node.inputs]
        site = Site(
            node,
            [None if value is None else value.shape for value in given],
            [None if value is None or value.varies else value.example for value in given],
        )
        try:
            kernel = build(site)
            inputs = [self._operand(entry, given) for entry in kernel.inputs]
            result = kernel.run(*[value.example for value in inputs])
        except ModelError:
            raise
        except limits.TooLargeError as error:
            raise ModelError(f"{node} asks for too much: {error}") from error
        except Exception as error:  # what does not fit is found in many ways
            raise ModelError(f"{node} does not fit its inputs ({error}); export the model again") from error
        results = result if isinstance(result, tuple) else (result,)
        if any(node.outputs[len(results) :]):
            raise site.unsupported("for more than its first output")
        varies = any(value.varies for value in inputs)
        outputs = [self._add(name, tensor, varies=varies) for name, tensor in zip(node.outputs, results, strict=False)]
        if varies:
            self._emit(kernel, inputs, outputs, several=isinstance(result, tuple))

    def _lookup(self, name: str, node: Node) -> Value:
        if name not in self.values:
            raise ModelError(f"{node} reads {name!r}, which nothing before it computes; export the model again")
        return self.values[name]

    def _operand(self, entry: int | Tensor, given: list[Value | None]) -> Value:
        if isinstance(entry, Tensor):
            return self._add(f"constant of slot {self.count}", entry, varies=False)
        value = given[entry] if entry < len(given) else None
        if value is None:
            raise ModelError("an operator lacks one of its inputs; export the model again")
        return value

    def _emit(self, kernel: Kernel, inputs: list[Value], outputs: list[Value], *, several: bool) -> None:
        run = batched(kernel, inputs, outputs, several=several)
        read, written = [value.slot for value in inputs], [value.slot for value in outputs]
        self.constants.update({value.slot: value.example for value in inputs if not value.varies})
        self.steps.append((unpack_step(run, read, written) if several else step(run, read, written[0]), read, written))

    def _steps_that_free(self, output: int) -> list[Step]:
        last = {slot: index for index, (_, read, written) in enumerate(self.steps) for slot in (*written, *read)}
        keep = {output, *self.constants}
        return [
            freeing(run, [slot for slot in {*read, *written} if last[slot] == index and slot not in keep])
            for index, (run, read, written) in enumerate(self.steps)
        ]


def batched(kernel: Kernel, inputs: list[Value], outputs: list[Value], *, several: bool) -> Callable[..., Any]:
    """The kernel as a function of stored values, which returns a tuple of them when there are `several` outputs."""
    varying = [value for value in inputs if value.varies]
    if kernel.reach is Reach.ORDER:
        tail = outputs[0].shape[1:] if outputs[0].leading else outputs[0].shape
        return lambda x: x.reshape(x.shape[0], *tail)
    if _runs_as_is(kernel.reach, inputs, varying, outputs):
        return kernel.run
    mapped = torch.vmap(kernel.run, in_dims=tuple(0 if value.varies else None for value in inputs))

    def run(*stored: Tensor) -> Any:
        full = [x.unsqueeze(1) if v.varies and v.leading else x for x, v in zip(stored, inputs, strict=True)]
        result = mapped(*full)
        found = result if several else (result,)
        found = tuple(x.squeeze(1) if v.leading else x for x, v in zip(found, outputs, strict=True))
        return found if several else found[0]

    return run


def _runs_as_is(reach: Reach, inputs: list[Value], varying: list[Value], outputs: list[Value]) -> bool:
    ranks = {len(value.shape) for value in varying}
    leading = {value.leading for value in varying}
    if reach is Reach.POINT:
        return len(ranks) == len(leading) == 1 and all(_spreads_alike(value, ranks, leading) for value in inputs)
    if reach is Reach.LAST:
        return len(varying) == 1 and varying[0] is inputs[0] and (leading == {False} or ranks != {1})
    if reach is Reach.ROW:
        return leading == {True} and len(ranks) == 1 and all(value.leading for value in outputs)
    return False


def _spreads_alike(value: Value, ranks: set[int], leading: set[bool]) -> bool:
    """Whether a constant broadcasts against stored values as it does against the shapes in the file."""
    rank = max(ranks)
    if value.varies or len(value.shape) < rank:
        return True
    return len(value.shape) == rank and (value.leading or leading == {False})
