"""Turn an ONNX graph, which is written for one example, into a program that takes any number of them, node by node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import onnx
import torch
from torch import Tensor

from adrgd.errors import ModelError
from adrgd.files import limits
from adrgd.models.onnx.batching import Value, batched
from adrgd.models.onnx.graph import Body, Graph, Node, body
from adrgd.models.onnx.kernels import Kernel, Reach, Site
from adrgd.models.onnx.kinds import BOOL, KEPT_AS
from adrgd.models.onnx.operators import OPERATORS
from adrgd.models.onnx.room import Room
from adrgd.models.program import Program, Step, freeing, step, unpack_step

__all__ = ["OPERATORS", "Compiler"]


class Compiler:
    """Builds the program of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {}
        self.steps: list[tuple[Step, list[int], list[int]]] = []
        self.constants: dict[int, Tensor] = {}
        self.count = 0
        for name, tensor in graph.constants.items():
            self._add(name, tensor, varies=False, kind=graph.kinds[name])
        self.room = Room()
        self.input = self._add(graph.input, self._start(), varies=True, kind=graph.kinds[graph.input])

    def compile(self) -> tuple[Program, Value]:
        """The program and its output, as the file describes it for one example."""
        with torch.no_grad(), self.room:
            for node in self.graph.nodes:
                self._compile_node(node)
        output = self.values.get(self.graph.output)
        if output is None or not output.varies:
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

    def _add(self, name: str, example: Tensor, *, varies: bool, kind: int) -> Value:
        value = self.values[name] = Value(self.count, example, varies, kind)
        self.count += 1
        return value

    def _compile_node(self, node: Node) -> None:
        if node.op == "If":
            self._compile_choice(node)
            return
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
            [None if value is None else value.kind for value in given],
        )
        try:
            kernel = build(site)
            inputs = self._operands(kernel, given)
            kernel = _of_fractions(kernel, inputs)
            result = kernel.run(*[value.example for value in inputs])
        except ModelError:
            raise
        except limits.TooLargeError as error:
            raise ModelError(f"{node} asks for too much: {error}") from error
        except Exception as error:  # what does not fit is found in many ways
            raise ModelError(f"{node} does not fit its inputs ({error}); export the model again") from error
        self._store(node, site, kernel, inputs, result)

    def _store(self, node: Node, site: Site, kernel: Kernel, inputs: list[Value], result: Any) -> None:
        several = isinstance(result, tuple | list)
        results: Sequence[Tensor] = result if several else (result,)
        if any(node.outputs[len(results) :]):
            raise site.unsupported(f"for more than its first {len(results)} outputs")
        varies = any(value.varies for value in inputs)
        kinds = [*kernel.kinds, *[site.kinds[0] if site.kinds else None] * len(results)]
        outputs = []
        for name, tensor, kind in zip(node.outputs, results, kinds, strict=False):
            settled = tensor if varies or kind is None else tensor.to(KEPT_AS.get(kind, torch.float64))
            outputs.append(self._add(name, settled, varies=varies, kind=BOOL if kind is None else kind))
        if varies:
            self._emit(kernel, inputs, outputs, several=several)

    def _compile_choice(self, node: Node) -> None:
        """One of two graphs, where a constant says which; else both, and a choice between what they return."""
        found = [node.attributes.get(name) for name in ("then_branch", "else_branch")]
        graphs = [graph for graph in found if isinstance(graph, onnx.GraphProto)]
        if len(node.inputs) != 1 or len(graphs) != len(found):
            raise ModelError(f"{node} lacks its condition or one of its two graphs; export the model again")
        condition = self._lookup(node.inputs[0], node)
        branches = [body(graph, node.opset) for graph in graphs]
        if any(len(branch.outputs) != len(node.outputs) for branch in branches):
            raise ModelError(f"{node} has other outputs than its two graphs; export the model again")
        if not condition.varies:
            chosen = self._run_inside(branches[0] if bool(condition.example.any()) else branches[1], node)
            self.values.update(zip(node.outputs, chosen, strict=True))
            return
        both = [self._run_inside(branch, node) for branch in branches]
        for place, name in enumerate(node.outputs):
            ways = [f"{name} of way {number} in {node.name}" for number in range(2)]
            self.values.update(zip(ways, (results[place] for results in both), strict=True))
            self._compile_node(replace(node, op="Where", inputs=(node.inputs[0], *ways), outputs=(name,)))

    def _run_inside(self, inner: Body, outer: Node) -> list[Value]:
        """The results of a graph inside of this one, which sees its names; its own end with it."""
        outside = dict(self.values)
        for name, tensor in inner.constants.items():
            self._add(name, tensor, varies=False, kind=inner.kinds[name])
        for node in inner.nodes:
            self._compile_node(node)
        results = [self._lookup(name, outer) for name in inner.outputs]
        self.values = outside
        return results

    def _lookup(self, name: str, node: Node) -> Value:
        if name not in self.values:
            raise ModelError(f"{node} reads {name!r}, which nothing before it computes; export the model again")
        return self.values[name]

    def _operands(self, kernel: Kernel, given: list[Value | None]) -> list[Value]:
        values = [self._operand(entry, given) for entry in kernel.inputs]
        if kernel.reach is not Reach.POINT:
            return values
        # single numbers are written with any number of axes; without these they spread over everything
        rank = max((len(value.shape) for value in values if value.varies), default=0)
        return [
            self._operand(value.example.reshape(()), given, kind=value.kind)
            if not value.varies and value.example.numel() == 1 and 0 < len(value.shape) <= rank else value
            for value in values
        ]  # fmt: skip

    def _operand(self, entry: int | Tensor, given: list[Value | None], *, kind: int = BOOL) -> Value:
        if isinstance(entry, Tensor):
            return self._add(f"constant of slot {self.count}", entry, varies=False, kind=kind)
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


def _of_fractions(kernel: Kernel, inputs: list[Value]) -> Kernel:
    """A kernel whose results are floating-point numbers wherever they depend on the input; see `kinds`."""
    varying = next((place for place, value in enumerate(inputs) if value.varies), None)
    if varying is None or kernel.reach is Reach.ORDER:
        return kernel
    inner: Callable[..., Any] = kernel.run

    def settled(result: Tensor, dtype: torch.dtype) -> Tensor:
        return result if result.is_floating_point() else result.to(dtype)

    def run(*parts: Tensor) -> Any:
        result = inner(*parts)
        if isinstance(result, Tensor):
            return settled(result, parts[varying].dtype)
        return tuple(settled(one, parts[varying].dtype) for one in result)

    return replace(kernel, run=run)
