"""Several networks, or one with several inputs or outputs, as one graph from one vector to one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import onnx
from onnx import TensorProto, helper

from adrgd.errors import ModelError
from adrgd.models.onnx.graph import constant_names, input_shape

FLOATS = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float16"}
INPUT, OUTPUT = "all inputs", "all outputs"  # no name of a file looks like these once it has its prefix


@dataclass(frozen=True)
class Part:
    """A network of a joined graph.

    Attributes:
        model: in one piece.
        source: its file, for errors.
        inputs, outputs: the names of those that are used, in the order in which they take or give numbers.
    """

    model: onnx.ModelProto
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def shapes(self) -> list[tuple[int, ...]]:
        """Of the inputs, for one example."""
        values = {value.name: value for value in self.model.graph.input}
        return [input_shape(values[name], self.source) for name in self.inputs]

    def kinds(self) -> set[int]:
        """The types of the inputs."""
        values = {value.name: value for value in self.model.graph.input}
        return {values[name].type.tensor_type.elem_type for name in self.inputs}


def inputs_of(model: onnx.ModelProto) -> list[str]:
    """The names of a model's inputs, without the constants that old files list among them."""
    constants = constant_names(model.graph)
    return [value.name for value in model.graph.input if value.name not in constants]


def outputs_of(model: onnx.ModelProto) -> list[str]:
    """The names of a model's outputs."""
    return [value.name for value in model.graph.output]


def joined(parts: Sequence[Part], columns: Sequence[int]) -> onnx.ModelProto:
    """The graph that takes (1, n), feeds each input of each part its numbers of it, and gives all outputs, (1, k).

    Args:
        columns: for each number of all inputs, part by part and input by input, its place among the n.

    Raises:
        ModelError: the parts do not take floating-point numbers of one type, or are of different opsets.
    """
    kinds = {kind for part in parts for kind in part.kinds()}
    if len(kinds) != 1 or not kinds <= set(FLOATS):
        found = ", ".join(sorted(TensorProto.DataType.Name(kind).lower() for kind in kinds)) or "none"
        raise ModelError(
            f"expected inputs of one floating-point type in {_names(parts)}, found {found}; export them with one"
        )
    opsets = {tuple(sorted((entry.domain, entry.version) for entry in part.model.opset_import)) for part in parts}
    if len(opsets) != 1:
        raise ModelError(
            f"expected networks of one opset in {_names(parts)}, found {len(opsets)} different ones; export them alike"
        )
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    sparse: list[onnx.SparseTensorProto] = []
    functions: list[onnx.FunctionProto] = []
    ends: list[str] = []
    at = 0
    for number, part in enumerate(parts):
        prefix = f"{number}:"
        model = onnx.compose.add_prefix(part.model, prefix)
        for name, shape in zip(part.inputs, part.shapes(), strict=True):
            size = prod(shape)
            places, sizes = f"places of {prefix}{name}", f"shape of {prefix}{name}"
            constants += [
                helper.make_tensor(places, TensorProto.INT64, [size], list(columns[at : at + size])),
                helper.make_tensor(sizes, TensorProto.INT64, [len(shape)], list(shape)),
            ]
            nodes += [
                helper.make_node("Gather", [INPUT, places], [f"numbers of {prefix}{name}"], axis=1),
                helper.make_node("Reshape", [f"numbers of {prefix}{name}", sizes], [prefix + name]),
            ]
            at += size
        nodes += model.graph.node
        constants += model.graph.initializer
        sparse += model.graph.sparse_initializer
        functions += model.functions
        for name in part.outputs:
            nodes.append(helper.make_node("Flatten", [prefix + name], [f"numbers of {prefix}{name}"], axis=0))
            ends.append(f"numbers of {prefix}{name}")
    nodes.append(helper.make_node("Concat", ends, [OUTPUT], axis=1))
    kind = kinds.pop()
    graph = helper.make_graph(
        nodes, "joined", [helper.make_tensor_value_info(INPUT, kind, [1, max(columns, default=-1) + 1])],
        [helper.make_tensor_value_info(OUTPUT, kind, None)], constants, sparse_initializer=sparse,
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=list(parts[0].model.opset_import), functions=functions,
        ir_version=max(part.model.ir_version for part in parts),
    )  # fmt: skip


def _names(parts: Sequence[Part]) -> str:
    return " and ".join(dict.fromkeys(repr(part.source) for part in parts))
