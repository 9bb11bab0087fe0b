"""A network of two inputs and a property that it violates, as the files net.onnx and prop.vnnlib of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = {
    "w": np.array([[1.0, -0.5, 0.25], [0.5, 1.0, -1.0]], np.float32),
    "b": np.array([0.1, -0.2, 0.3], np.float32),
    "v": np.array([[1.0], [-1.5], [0.75]], np.float32),
}
NODES = (
    helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
    helper.make_node("Relu", ["h"], ["r"]),
    helper.make_node("MatMul", ["r", "v"], ["y"]),
)
PROPERTY = """; for inputs between -1 and 1 the output stays below 1.3: what violates that is sought
(declare-const X_0 Real)
(declare-const X_1 Real)
(declare-const Y_0 Real)
(assert (>= X_0 -1.0))
(assert (<= X_0 1.0))
(assert (>= X_1 -1.0))
(assert (<= X_1 1.0))
(assert (>= Y_0 1.3))
"""


def main() -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 2), ("y", 1))]
    constants = [numpy_helper.from_array(value, name) for name, value in WEIGHTS.items()]
    graph = helper.make_graph(list(NODES), "small", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    Path("net.onnx").write_bytes(model.SerializeToString())
    Path("prop.vnnlib").write_text(PROPERTY, encoding="utf-8")


if __name__ == "__main__":
    main()
