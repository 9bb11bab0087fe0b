"""What is known about an ONNX graph before it runs: its nodes, its constants and the shape of its input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from adrgd.errors import ModelError
from adrgd.files import reading
from adrgd.models.onnx.external import take_in
from adrgd.models.onnx.kinds import FLOAT, KEPT_AS, NUMBERS


@dataclass(frozen=True)
class Node:
    """One operator of the file, with its attributes as Python values or tensors."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    opset: int

    def __str__(self) -> str:
        return f"operator {self.op!r} of opset {self.opset} (node {self.name!r})"


@dataclass(frozen=True)
class Body:
    """A graph inside a node."""

    nodes: tuple[Node, ...]
    constants: dict[str, Tensor]
    kinds: dict[str, int]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """The nodes that lead from the input to the output, in an order in which they can run.

    Attributes:
        kinds: the types of the constants and of the input, as in `adrgd.models.onnx.kinds`.
        input_shape: shape of the input as the file means it for one example, with 1 for a free batch dimension.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Tensor]
    kinds: dict[str, int]
    input: str
    input_shape: tuple[int, ...]
    output: str


def read_model(path: Path) -> tuple[onnx.ModelProto, bytes]:
    """An .onnx or .onnx.gz file as a model in one piece, and as bytes for onnxruntime.

    What lies in other files of its folder is taken in, and nodes that the outputs do not need are left out: they would
    be run all the same, whatever they ask for.

    Raises:
        ModelError: it cannot be read, is no ONNX file, has no operators, or needs files from elsewhere.
    """
    content = read_bytes(path)
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises its own errors, which differ between its implementations
        raise ModelError(
            f"expected an ONNX model in {str(path)!r}, found other content ({error}); export it again"
        ) from error
    if not model.graph.node:
        raise ModelError(f"expected an ONNX model in {str(path)!r}, found no operators in it; export it again")
    changed = take_in(model, path)
    nodes = list(needed(model.graph.node, *(output.name for output in model.graph.output)))
    if len(nodes) < len(model.graph.node):
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del model.graph.node[:]
        model.graph.node.extend(kept)
        changed = True
    return model, model.SerializeToString() if changed else content


def read_bytes(path: Path) -> bytes:
    """The content of an .onnx file, decompressed when its name ends in .gz."""
    try:
        return reading.read_bytes(path, "network")
    except OSError as error:
        raise ModelError(
            f"expected a readable ONNX file at {str(path)!r}, found: {error}; check the path and the file"
        ) from error


def parse(model: onnx.ModelProto, *, source: str) -> Graph:
    """The graph of a model in one piece.

    Raises:
        ModelError: damaged tensors, several inputs or outputs, or an unknown input size.
    """
    graph = model.graph
    constants, kinds = _constants(graph, source)
    inputs = [value for value in graph.input if value.name not in constants]
    for kind, count in (("input", len(inputs)), ("output", len(graph.output))):
        if count != 1:
            raise ModelError(f"expected {source!r} to have one {kind}, found {count}; export a model with one {kind}")
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    output = graph.output[0].name
    kinds[inputs[0].name] = inputs[0].type.tensor_type.elem_type or FLOAT
    return Graph(
        nodes=_nodes(graph, [output], opset, source),
        constants=constants,
        kinds=kinds,
        input=inputs[0].name,
        input_shape=input_shape(inputs[0], source),
        output=output,
    )


def body(graph: onnx.GraphProto, opset: int) -> Body:
    """A graph that an attribute of a node holds, to be run inside of that node's graph."""
    constants, kinds = _constants(graph, "the model")
    outputs = tuple(output.name for output in graph.output)
    return Body(_nodes(graph, list(outputs), opset, "the model"), constants, kinds, outputs)


def constant_names(graph: onnx.GraphProto) -> set[str]:
    """The names of the tensors that stand in a graph, whose files may list them among its inputs."""
    return {tensor.name for tensor in graph.initializer}


def _constants(graph: onnx.GraphProto, source: str) -> tuple[dict[str, Tensor], dict[str, int]]:
    """The tensors that stand in a graph, those of its Constant nodes among them, and their types."""
    protos = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if _is_tensor(node):
            protos[node.output[0]] = node.attribute[0].t
    tensors = {name: to_tensor(proto, source=source) for name, proto in protos.items()}
    return tensors, {name: proto.data_type for name, proto in protos.items()}


def _is_tensor(node: onnx.NodeProto) -> bool:
    return (
        node.op_type == "Constant" and node.domain in ("", "ai.onnx") and len(node.attribute) == 1
        and node.attribute[0].HasField("t") and node.attribute[0].t.data_type in NUMBERS and len(node.output) == 1
    )  # fmt: skip


def _nodes(graph: onnx.GraphProto, outputs: Sequence[str], opset: int, source: str) -> tuple[Node, ...]:
    try:
        return tuple(
            _node(proto, index, opset)
            for index, proto in enumerate(needed(graph.node, *outputs))
            if not _is_tensor(proto)
        )
    except ValueError as error:  # an attribute of a type that there is not
        raise ModelError(
            f"expected attributes in {source!r}, found: {_first(error)}; export the model again"
        ) from error


def to_tensor(proto: onnx.TensorProto, *, source: str = "the model") -> Tensor:
    """A tensor of the file; floating-point ones in double precision, so that folding constants loses nothing."""
    try:
        array = numpy_helper.to_array(proto)
        if proto.data_type in KEPT_AS:  # torch does not count in all of these
            array = array.astype(str(KEPT_AS[proto.data_type]).removeprefix("torch."))
        elif proto.data_type in NUMBERS:  # and numpy has no types of its own for numbers of few bits
            array = array.astype("float64")
        tensor = torch.from_numpy(array.copy())
    except Exception as error:  # sizes that do not fit the numbers, types that are none
        raise ModelError(
            f"expected numbers in the tensor {proto.name!r} of {source!r}, found: {_first(error)}; export the model "
            "again"
        ) from error
    return tensor.double() if tensor.is_floating_point() else tensor


def _node(proto: onnx.NodeProto, index: int, opset: int) -> Node:
    attributes: dict[str, Any] = {}
    for attribute in proto.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = to_tensor(value)
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            value = list(value)
        attributes[attribute.name] = value
    op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    name = proto.name or (proto.output[0] if proto.output else f"number {index}")
    return Node(op, name, tuple(proto.input), tuple(proto.output), attributes, opset)


def needed(nodes: Sequence[onnx.NodeProto], *outputs: str) -> Iterator[onnx.NodeProto]:
    """The nodes that lead to some outputs, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(name for name in node.output if name):
            wanted.update(node.input)
            for attribute in node.attribute:  # a graph inside may read what stands outside of it
                inner = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
                wanted.update(name for graph in inner for name in _read_inside(graph))
            kept.append(node)
    return reversed(kept)


def _read_inside(graph: onnx.GraphProto) -> Iterator[str]:
    waiting = [graph]
    while waiting:
        one = waiting.pop()
        yield from (output.name for output in one.output)
        for node in one.node:
            yield from node.input
            for attribute in node.attribute:
                waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def input_shape(value: onnx.ValueInfoProto, source: str) -> tuple[int, ...]:
    """The shape of an input for one example.

    Raises:
        ModelError: a size behind the batch dimension is not fixed.
    """
    dims = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in value.type.tensor_type.shape.dim]
    if not dims or any(size <= 0 for size in dims[1:]):
        raise ModelError(
            f"expected the input {value.name!r} of {source!r} to have fixed sizes after the batch dimension, "
            f"found {tuple(size if size > 0 else '?' for size in dims)}; export the model with fixed sizes"
        )
    return (max(dims[0], 1), *dims[1:])
