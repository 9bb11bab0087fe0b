"""Compile the inlined graph of a TorchScript module to a program of `torch.ops.aten` calls."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from adrgd.errors import ModelError
from adrgd.models.program import Program, Step, freeing, step, unpack_step


def _fail(message: str, *_: Any) -> None:
    raise ModelError(f"the model's own code refused its input: {message}; pass the kind of batch it was made for")


# what the language of the graph itself does; everything else is an operator with a schema
PRIMITIVES: dict[str, Callable[..., Any]] = {
    "prim::ListConstruct": lambda *items: list(items),
    "prim::TupleConstruct": lambda *items: items,
    "prim::TupleIndex": lambda items, index: items[index],
    "prim::NumToTensor": torch.tensor,
    "prim::RaiseException": _fail,
    "prim::device": lambda x: x.device,
    "prim::dtype": lambda x: x.dtype,
    "prim::unchecked_cast": lambda x: x,
    "aten::ScalarImplicit": lambda x: x.item(),
}
# operators on lists of any type, which have a schema but cannot be called by it
ON_LISTS: dict[str, Callable[..., Any]] = {
    "aten::__getitem__.t": operator.getitem,
    "aten::add.t": operator.add,
    "aten::len.t": len,
    "aten::slice.t": lambda items, start, end, step: items[start:end:step],
}
UNPACKED = ("prim::ListUnpack", "prim::TupleUnpack")


def replay(module: Any, *, source: str) -> Program:
    """The program of a frozen script module that takes one tensor.

    Raises:
        ModelError: the module takes several inputs, or holds an operator that cannot be replayed.
    """
    graph = module.inlined_graph
    arguments = list(graph.inputs())
    if len(arguments) != 2:
        raise ModelError(
            f"expected {source!r} to take one batch, found {len(arguments) - 1} inputs; save a module with one input"
        )
    compiler = _Compiler(module, arguments[0].debugName(), source)
    given = compiler.slot(arguments[1])
    steps = compiler.block(graph)
    (result,) = (compiler.slot(value) for value in graph.outputs())
    return Program(
        _free_all(steps, keep={result, *compiler.constants}),
        compiler.constants,
        size=len(compiler.slots),
        input=given,
        output=result,
    )


_Placed = tuple[Step, list[int]]


class _Compiler:
    def __init__(self, module: Any, own_name: str, source: str) -> None:
        self.source = source
        self.slots: dict[str, int] = {}
        self.constants: dict[int, Any] = {}
        self.attributes: dict[str, Any] = {own_name: module}

    def slot(self, value: Any) -> int:
        return self.slots.setdefault(value.debugName(), len(self.slots))

    def block(self, block: Any) -> list[_Placed]:
        """The steps of a block, each with the slots that it touches."""
        steps: list[_Placed] = []
        for node in block.nodes():
            steps.extend(self.node(node))
        return steps

    def node(self, node: Any) -> list[_Placed]:
        kind = node.kind()
        if kind == "prim::Constant":
            self.constants[self.slot(node.output())] = node.output().toIValue()
            return []
        if kind == "prim::GetAttr":
            return self.attribute(node)
        if kind == "prim::If":
            return [self.branch(node)]
        inputs, outputs = [self.slot(value) for value in node.inputs()], [self.slot(value) for value in node.outputs()]
        touched = [*inputs, *outputs]
        if kind in UNPACKED:
            return [(unpack_step(lambda items: items, inputs, outputs), touched)]
        run, written = PRIMITIVES.get(kind), None
        if run is None:
            run, written = self.operator(node, inputs)
        if len(outputs) > 1:
            return [(unpack_step(run, inputs, outputs), touched)]
        # an operator without a result still needs somewhere to put its None
        place = outputs[0] if outputs else self.slots.setdefault(f"nothing {len(self.slots)}", len(self.slots))
        made = [(step(run, inputs, place), [*touched, place])]
        if written is not None:
            made.append((step(lambda x: x, [place], written), [place, written]))
        return made

    def attribute(self, node: Any) -> list[_Placed]:
        owner = self.attributes[next(iter(node.inputs())).debugName()]
        value = getattr(owner, node.s("name"))
        self.attributes[node.output().debugName()] = value
        self.constants[self.slot(node.output())] = None if isinstance(value, torch.nn.Module) else value
        return []

    def branch(self, node: Any) -> _Placed:
        condition = self.slot(next(iter(node.inputs())))
        outputs = [self.slot(value) for value in node.outputs()]
        ways, touched = [], [condition, *outputs]
        for block in node.blocks():
            steps, results = self.block(block), [self.slot(value) for value in block.outputs()]
            ways.append(([run for run, _ in steps], results))
            touched += [slot for _, slots in steps for slot in slots] + results
        yes, no = ways

        def run(values: list[Any]) -> None:
            steps, results = yes if values[condition] else no
            for each in steps:
                each(values)
            for place, slot in zip(outputs, results, strict=True):
                values[place] = values[slot]

        return run, touched

    def operator(self, node: Any, inputs: list[int]) -> tuple[Callable[..., Any], int | None]:
        """The overload for a node; for one that works in place, its twin that does not and the slot it writes to."""
        schema, twin = str(node.schema()), None
        full = schema.partition("(")[0]
        if full in ON_LISTS:
            return ON_LISTS[full], None
        name, _, overload = full.partition(".")
        if name.endswith("_") and not name.endswith("__"):
            twin = _overload(name[:-1], overload)
        found = twin or _overload(name, overload)
        if found is None:
            raise ModelError(
                f"{self.source!r} holds the operator {node.kind()!r}, which cannot be replayed; save the module with "
                "torch.export instead"
            )
        keywords = [argument.name for argument in found._schema.arguments if argument.kwarg_only]
        positional = len(inputs) - len(keywords)
        if not keywords:
            return found, inputs[0] if twin else None

        def run(*values: Any) -> Any:
            return found(*values[:positional], **dict(zip(keywords, values[positional:], strict=True)))

        return run, inputs[0] if twin else None


def _overload(name: str, overload: str) -> Any:
    namespace, _, operator = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace), operator, None)
    return getattr(packet, overload or "default", None)


def _free_all(steps: list[_Placed], keep: set[int]) -> list[Step]:
    last = {slot: index for index, (_, touched) in enumerate(steps) for slot in touched}
    return [
        freeing(run, [slot for slot in set(touched) if last[slot] == index and slot not in keep])
        for index, (run, touched) in enumerate(steps)
    ]
