"""Small networks as ONNX files, random and of all operators that proofs are checked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, np.dtype[Any]]


class Net:
    """Collects nodes and numbers."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.random, self.shape = np.random.default_rng(seed), shape
        self.nodes: list[Any] = []
        self.numbers: list[Any] = []
        self.last = "x"

    def draw(self, *shape: int) -> Array:
        return self.random.normal(size=shape).astype(np.float32)

    def constant(self, values: Array) -> str:
        name = f"c{len(self.numbers)}"
        self.numbers.append(numpy_helper.from_array(values, name))
        return name

    def add(self, op: str, *others: Array | str, before: bool = False, **attributes: Any) -> str:
        """A node whose first input is the last result; its name."""
        names = [other if isinstance(other, str) else self.constant(other) for other in others]
        inputs = [*names, self.last] if before else [self.last, *names]
        self.last = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.last], **attributes))
        return self.last

    def content(self) -> bytes:
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(self.shape))],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)], self.numbers,
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 17)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def mlp(seed: int, activation: str = "Relu", widths: tuple[int, ...] = (2, 6, 5, 2)) -> bytes:
    """Matrices with activations between."""
    net = Net((1, widths[0]), seed)
    for k in range(1, len(widths)):
        net.add("Gemm", net.draw(widths[k], widths[k - 1]), net.draw(widths[k]), transB=1)
        if k + 1 < len(widths):
            net.add(activation, **({"alpha": 0.25} if activation == "LeakyRelu" else {}))
    return net.content()


def everything(seed: int) -> bytes:
    """Convolutions, a skip connection, and all operators that move and scale."""
    net = Net((1, 2, 4, 4), seed)
    net.add("Sub", net.draw(1, 2, 1, 1))
    net.add("Div", np.abs(net.draw(1, 2, 1, 1)) + 1)
    net.add("Conv", net.draw(4, 1, 3, 3), net.draw(4), group=2, pads=[1, 1, 1, 1], strides=[2, 2])
    kept = net.add("Relu")
    net.add("Conv", net.draw(4, 4, 2, 2), pads=[1, 1, 0, 0])
    net.add("LeakyRelu", alpha=0.125)
    net.add("Add", kept)
    net.add("Transpose", perm=[0, 2, 3, 1])
    net.add("Slice", np.array([0]), np.array([4]), np.array([3]), np.array([2]))
    net.add("Mul", np.float32(0.5))
    net.add("Flatten")
    whole = net.add("MatMul", net.draw(8, 3))
    net.add("Tanh")
    net.add("Concat", whole, axis=1)
    net.add("Gather", np.array([0, 5, 0, 3]), axis=1)
    net.add("Reshape", np.array([4, -1]))
    net.add("MatMul", net.draw(2, 4), before=True)
    net.add("Squeeze", np.array([1]))
    net.add("Neg")
    return net.content()
