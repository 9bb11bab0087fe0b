"""What is known about an ONNX graph before it runs: its nodes, its constants and the shape of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from adrgd import reading
from adrgd.errors import ModelError


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
        return f"operator {self.op!r} (node {self.name!r})"


@dataclass(frozen=True)
class Graph:
    """The nodes that lead from the input to the output, in an order in which they can run.

    Attributes:
        input_shape: shape of the input as the file means it for one example, with 1 for a free batch dimension.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Tensor]
    input: str
    input_shape: tuple[int, ...]
    output: str


def read_bytes(path: Path) -> bytes:
    """The content of an .onnx file, decompressed when its name ends in .gz."""
    try:
        return reading.read_bytes(path, "network")
    except OSError as error:
        raise ModelError(
            f"expected a readable ONNX file at {str(path)!r}, found: {error}; check the path and the file"
        ) from error


def parse(content: bytes, *, source: str) -> Graph:
    """Read the bytes of an .onnx file.

    Raises:
        ModelError: not an ONNX file, weights in other files, several inputs or outputs, or an unknown input size.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises its own errors, which differ between its implementations
        raise ModelError(
            f"expected an ONNX model in {source!r}, found other content ({error}); export it again"
        ) from error
    graph = model.graph
    if not graph.node:
        raise ModelError(f"expected an ONNX model in {source!r}, found no operators in it; export it again")
    constants = {tensor.name: to_tensor(tensor, source=source) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    for kind, count in (("input", len(inputs)), ("output", len(graph.output))):
        if count != 1:
            raise ModelError(f"expected {source!r} to have one {kind}, found {count}; export a model with one {kind}")
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    nodes = [_node(proto, index, opset) for index, proto in enumerate(graph.node)]
    output = graph.output[0].name
    return Graph(
        nodes=_needed(nodes, output),
        constants=constants,
        input=inputs[0].name,
        input_shape=_input_shape(inputs[0], source),
        output=output,
    )


def to_tensor(proto: onnx.TensorProto, *, source: str = "the model") -> Tensor:
    """A tensor of the file; floating-point ones in double precision, so that folding constants loses nothing."""
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        raise ModelError(
            f"expected the weights inside {source!r}, found a reference to another file for {proto.name!r}; "
            "save the model as a single file"
        )
    array = numpy_helper.to_array(proto)
    if proto.data_type == onnx.TensorProto.BFLOAT16:  # numpy has no such type of its own
        array = array.astype("float32")
    try:
        tensor = torch.from_numpy(array.copy())
    except TypeError as error:
        raise ModelError(
            f"expected numbers in the tensor {proto.name!r} of {source!r}, found {array.dtype}; export the model again"
        ) from error
    return tensor.double() if tensor.is_floating_point() else tensor


def _node(proto: onnx.NodeProto, index: int, opset: int) -> Node:
    attributes: dict[str, Any] = {}
    for attribute in proto.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = to_tensor(value)
        elif isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, Sequence) and not isinstance(value, str):
            value = list(value)
        attributes[attribute.name] = value
    op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    name = proto.name or (proto.output[0] if proto.output else f"number {index}")
    return Node(op, name, tuple(proto.input), tuple(proto.output), attributes, opset)


def _needed(nodes: list[Node], output: str) -> tuple[Node, ...]:
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(name for name in node.outputs if name):
            wanted.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def _input_shape(value: onnx.ValueInfoProto, source: str) -> tuple[int, ...]:
    dims = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in value.type.tensor_type.shape.dim]
    if not dims or any(size <= 0 for size in dims[1:]):
        raise ModelError(
            f"expected the input {value.name!r} of {source!r} to have fixed sizes after the batch dimension, "
            f"found {tuple(size if size > 0 else '?' for size in dims)}; export the model with fixed sizes"
        )
    return (max(dims[0], 1), *dims[1:])
