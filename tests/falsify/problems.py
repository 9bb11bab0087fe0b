"""Tiny networks as ONNX files, and properties of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SUM_AND_DIFFERENCE = [[1.0, 1.0], [1.0, -1.0]]


def save_linear(
    file: Path,
    weight: list[list[float]],
    *,
    shape: list[int | str] | None = None,
    kind: int = TensorProto.FLOAT,
    then: str | None = None,
) -> Path:
    """y = weight @ x, and the operator `then` on top; x has the shape (1, n) unless another one is given."""
    matrix = np.array(weight).T.astype(helper.tensor_dtype_to_np_dtype(kind))
    size = numpy_helper.from_array(np.array([1, len(matrix)]), "size")
    nodes = [helper.make_node("Reshape", ["x", "size"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    if then:
        nodes += [helper.make_node(then, ["y"], ["z"])]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", kind, shape or [1, len(matrix)])],
        [helper.make_tensor_value_info("z" if then else "y", kind, None)],
        [numpy_helper.from_array(matrix, "w"), size],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
    return file


def vnnlib(*asserted: str, inputs: int = 2, outputs: int = 2, box: tuple[str, str] | None = ("-1", "1")) -> str:
    """A file of version 1: the declarations, the same bounds for every input, and what is asserted beyond them."""
    lines = [f"(declare-const X_{i} Real)" for i in range(inputs)]
    lines += [f"(declare-const Y_{i} Real)" for i in range(outputs)]
    if box:
        lines += [f"(assert (>= X_{i} {box[0]}))\n(assert (<= X_{i} {box[1]}))" for i in range(inputs)]
    return "\n".join([*lines, *(f"(assert {formula})" for formula in asserted)]) + "\n"
