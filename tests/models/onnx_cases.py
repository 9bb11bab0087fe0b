"""Small ONNX graphs: at least one for each supported operator, and for each form that its inputs take."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 8
RNG = np.random.default_rng(7)


def f32(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def node(op: str, inputs: str = "x", outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def model(nodes: list[onnx.NodeProto], shape: list[Any], opset: int = 17, **constants: np.ndarray) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    domains = {"": opset} | {proto.domain: 1 for proto in nodes if proto.domain}
    imports = [helper.make_opsetid(*one) for one in domains.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION if opset < 22 else 10)


IMAGE, VECTOR = [1, 4, 6, 5], [1, 6]
CASES: dict[str, tuple[list[onnx.NodeProto], list[Any], int, dict[str, np.ndarray]]] = {
    "Add row": ([node("Add", "x c")], VECTOR, 17, {"c": f32(6)}),
    "Add scalar": ([node("Add", "x c")], VECTOR, 17, {"c": f32()}),
    "Add that makes more rows": ([node("Add", "x c")], VECTOR, 17, {"c": f32(4, 6)}),
    "Add of more axes": ([node("Add", "x c")], VECTOR, 17, {"c": f32(2, 3, 6)}),
    "Add of two ranks": (
        [node("Reshape", "x s", "a"), node("Add", "x a")],
        VECTOR,
        17,
        {"s": ints(6)},
    ),
    "AveragePool": ([node("AveragePool", kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 1, 1])], IMAGE, 17, {}),
    "AveragePool counted": (
        [node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)],
        IMAGE,
        17,
        {},
    ),
    "AveragePool uneven": ([node("AveragePool", kernel_shape=[2, 2], pads=[0, 1, 1, 0])], IMAGE, 17, {}),
    "AveragePool ceil": ([node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], IMAGE, 19, {}),
    "BatchNormalization": (
        [node("BatchNormalization", "x s b m v", epsilon=1e-3)],
        IMAGE,
        17,
        {"s": f32(4), "b": f32(4), "m": f32(4), "v": np.abs(f32(4)) + 0.1},
    ),
    "Cast": ([node("Cast", "c", "f", to=TensorProto.FLOAT), node("Mul", "x f")], VECTOR, 17, {"c": ints(2)}),
    "Clip 6": ([node("Clip", min=-0.5, max=0.5)], VECTOR, 6, {}),
    "Clip 11": ([node("Clip", "x a b")], VECTOR, 17, {"a": np.float32(-0.5), "b": np.float32(0.5)}),
    "Clip at zero": ([node("Clip", "x a")], VECTOR, 17, {"a": np.float32(0)}),
    "Clip above": ([helper.make_node("Clip", ["x", "", "b"], ["y"])], VECTOR, 17, {"b": np.float32(0.2)}),
    "Concat": ([node("Neg", "x", "n"), node("Concat", "x n", axis=1)], VECTOR, 17, {}),
    "Concat of the batch axis": ([node("Neg", "x", "n"), node("Concat", "x n", axis=0)], VECTOR, 17, {}),
    "Concat with a constant": ([node("Concat", "c x", axis=-1)], VECTOR, 17, {"c": f32(1, 2)}),
    "Constant": (
        [node("Constant", "", "c", value=numpy_helper.from_array(f32(6))), node("Add", "x c")],
        VECTOR,
        17,
        {},
    ),
    "Constant floats": ([node("Constant", "", "c", value_floats=[1.0] * 6), node("Sub", "x c")], VECTOR, 17, {}),
    "ConstantOfShape": (
        [
            node("Shape", "x", "s"),
            node("ConstantOfShape", "s", "c", value=numpy_helper.from_array(f32(1))),
            node("Mul", "x c"),
        ],
        VECTOR,
        17,
        {},
    ),
    "Conv": (
        [node("Conv", "x w b", strides=[2, 1], pads=[1, 0, 1, 0], dilations=[1, 2])],
        IMAGE,
        17,
        {"w": f32(3, 4, 3, 2), "b": f32(3)},
    ),
    "Conv uneven": ([node("Conv", "x w", pads=[0, 1, 2, 0])], IMAGE, 17, {"w": f32(3, 4, 3, 2)}),
    "Conv groups": ([node("Conv", "x w", group=2)], IMAGE, 17, {"w": f32(6, 2, 2, 2)}),
    "Conv SAME_UPPER": (
        [node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])],
        IMAGE,
        17,
        {"w": f32(2, 4, 3, 2)},
    ),
    "Conv SAME_LOWER": ([node("Conv", "x w", auto_pad="SAME_LOWER")], IMAGE, 17, {"w": f32(2, 4, 2, 2)}),
    "Conv VALID": ([node("Conv", "x w", auto_pad="VALID")], IMAGE, 17, {"w": f32(2, 4, 2, 2)}),
    "Conv with weights of the input": (
        [node("Slice", "x s e", "w"), node("Conv", "x w")],
        [1, 1, 6, 5],
        17,
        {"s": ints(0, 0, 1, 1), "e": ints(1, 1, 3, 4)},
    ),
    "ConvTranspose with weights of the input": (
        [node("Slice", "x s e", "w"), node("ConvTranspose", "x w")],
        [1, 1, 6, 5],
        17,
        {"s": ints(0, 0, 1, 1), "e": ints(1, 1, 3, 4)},
    ),
    "Conv 1d": ([node("Conv", "x w", pads=[1, 1])], [1, 2, 9], 17, {"w": f32(3, 2, 3)}),
    "ConvTranspose": (
        [node("ConvTranspose", "x w b", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0])],
        IMAGE,
        17,
        {"w": f32(4, 3, 3, 3), "b": f32(3)},
    ),
    "ConvTranspose uneven": (
        [node("ConvTranspose", "x w", strides=[2, 2], pads=[0, 1, 1, 0])],
        IMAGE,
        17,
        {"w": f32(4, 3, 3, 3)},
    ),
    "ConvTranspose output_shape": (
        [node("ConvTranspose", "x w", strides=[2, 2], output_shape=[12, 10])],
        IMAGE,
        17,
        {"w": f32(4, 3, 3, 3)},
    ),
    "ConvTranspose groups": ([node("ConvTranspose", "x w", group=2)], IMAGE, 17, {"w": f32(4, 3, 2, 2)}),
    "Div": ([node("Div", "x c")], VECTOR, 17, {"c": np.abs(f32(6)) + 1}),
    "Dropout": ([node("Dropout", ratio=0.5)], VECTOR, 10, {}),
    "Dropout 13": ([node("Dropout", "x r")], VECTOR, 17, {"r": np.float32(0.5)}),
    "Flatten": ([node("Flatten", axis=2)], IMAGE, 17, {}),
    "Flatten to one row": ([node("Flatten", axis=0)], IMAGE, 17, {}),
    "FusedMatMul": (
        [node("FusedMatMul", "x w", domain="com.microsoft", transB=1, alpha=0.5)],
        VECTOR,
        17,
        {"w": f32(3, 6)},
    ),
    "GlobalLpPool": ([node("GlobalLpPool", p=3)], IMAGE, 17, {}),
    "LinearRegressor": (
        [
            node(
                "LinearRegressor",
                domain="ai.onnx.ml",
                targets=2,
                intercepts=[0.5, -1.0],
                coefficients=[float(k) for k in range(12)],
            )
        ],
        VECTOR,
        17,
        {},
    ),
    "Normalizer": ([node("Normalizer", domain="ai.onnx.ml", norm="L2")], VECTOR, 17, {}),
    "LinearClassifier": (
        [
            node(
                "LinearClassifier",
                outputs="label y",
                domain="ai.onnx.ml",
                coefficients=f32(18).tolist(),
                intercepts=f32(3).tolist(),
                classlabels_ints=[4, 2, 7],
                post_transform="SOFTMAX",
            )
        ],
        VECTOR,
        17,
        {},
    ),
    "Scaler": ([node("Scaler", domain="ai.onnx.ml", offset=[0.5], scale=[2.0])], VECTOR, 17, {}),
    "Gather one": ([node("Gather", "x i", axis=1)], IMAGE, 17, {"i": np.array(-1)}),
    "Gather some": ([node("Gather", "x i", axis=2)], IMAGE, 17, {"i": ints(3, 0, 3)}),
    "Gather table": ([node("Gather", "x i", axis=1)], VECTOR, 17, {"i": np.array([[1, 2], [0, -1]])}),
    "Gather of the batch axis": ([node("Gather", "x i", axis=0)], VECTOR, 17, {"i": np.array(0)}),
    "Gemm": (
        [node("Gemm", "x w b", alpha=0.5, beta=2.0)],
        VECTOR,
        17,
        {"w": f32(6, 4), "b": f32(4)},
    ),
    "Gemm transB": ([node("Gemm", "x w", transB=1)], VECTOR, 17, {"w": f32(4, 6)}),
    "Gemm transA": ([node("Gemm", "x w b", transA=1)], [1, 6], 17, {"w": f32(1, 4), "b": f32(6, 4)}),
    "Gemm of the input on the right": ([node("Gemm", "w x", transB=1)], VECTOR, 17, {"w": f32(4, 6)}),
    "GlobalAveragePool": ([node("GlobalAveragePool")], IMAGE, 17, {}),
    "Identity": ([node("Identity")], VECTOR, 17, {}),
    "LeakyRelu": ([node("LeakyRelu", alpha=0.2)], VECTOR, 17, {}),
    "MatMul": ([node("MatMul", "x w")], VECTOR, 17, {"w": f32(6, 4)}),
    "MatMul stacked": ([node("MatMul", "x w")], IMAGE, 17, {"w": f32(5, 2)}),
    "MatMul from the left": ([node("MatMul", "w x")], IMAGE, 17, {"w": f32(3, 6)}),
    "MatMul of two": ([node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t")], IMAGE, 17, {}),
    "MaxPool": (
        [node("MaxPool", kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 1, 1])],
        IMAGE,
        17,
        {},
    ),
    "MaxPool uneven": ([node("MaxPool", kernel_shape=[2, 2], pads=[0, 1, 1, 0])], IMAGE, 17, {}),
    "MaxPool ceil": ([node("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], IMAGE, 17, {}),
    "MaxPool dilated": ([node("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])], IMAGE, 17, {}),
    "MaxPool 1d": ([node("MaxPool", kernel_shape=[2])], [1, 2, 7], 17, {}),
    "Mul": ([node("Mul", "x x")], VECTOR, 17, {}),
    "Neg": ([node("Neg")], VECTOR, 17, {}),
    "PRelu": ([node("PRelu", "x a")], IMAGE, 17, {"a": f32(4, 1, 1)}),
    "PRelu one": ([node("PRelu", "x a")], IMAGE, 17, {"a": f32(1)}),
    "PRelu each": ([node("PRelu", "x a")], IMAGE, 17, {"a": f32(4, 6, 5)}),
    "PRelu vector": ([node("PRelu", "x a")], VECTOR, 17, {"a": f32(6)}),
    "Pad 2": ([node("Pad", pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5)], IMAGE, 10, {}),
    "Pad 11": ([node("Pad", "x p v")], IMAGE, 17, {"p": ints(0, 1, 0, 0, 0, 0, 2, 0), "v": np.float32(2)}),
    "Pad axes": ([helper.make_node("Pad", ["x", "p", "", "a"], ["y"])], IMAGE, 18, {"p": ints(1, 2), "a": ints(-1)}),
    "Pad reflect": ([node("Pad", "x p", mode="reflect")], IMAGE, 17, {"p": ints(0, 0, 1, 2, 0, 0, 1, 0)}),
    "Pad edge": ([node("Pad", "x p", mode="edge")], IMAGE, 17, {"p": ints(0, 0, 1, 2, 0, 0, 1, 0)}),
    "Pad of the batch axis": ([node("Pad", "x p")], VECTOR, 17, {"p": ints(1, 0, 0, 0)}),
    "ReduceMean": ([node("ReduceMean", axes=[2, 3])], IMAGE, 17, {}),
    "ReduceMean 18": ([node("ReduceMean", "x a", keepdims=0)], IMAGE, 18, {"a": ints(-1)}),
    "ReduceSum": ([node("ReduceSum", axes=[1], keepdims=0)], IMAGE, 11, {}),
    "ReduceSum 13": ([node("ReduceSum", "x a")], IMAGE, 17, {"a": ints(1, 2)}),
    "ReduceSum of everything": ([node("ReduceSum", keepdims=0)], IMAGE, 17, {}),
    "ReduceSum of nothing": ([node("ReduceSum", noop_with_empty_axes=1)], VECTOR, 17, {}),
    "Relu": ([node("Relu")], VECTOR, 17, {}),
    "Reshape with a literal batch": ([node("Reshape", "x s")], IMAGE, 17, {"s": ints(1, 20, 6)}),
    "Reshape that drops the batch": ([node("Reshape", "x s")], IMAGE, 17, {"s": ints(4, -1)}),
    "Reshape by zeros": ([node("Reshape", "x s")], IMAGE, 17, {"s": ints(0, 0, -1)}),
    "Reshape by Shape": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "n"),
            node("Unsqueeze", "n zeros", "m"),
            node("Concat", "m rest", "t", axis=0),
            node("Reshape", "x t"),
        ],
        IMAGE,
        17,
        {"zero": np.array(0), "zeros": ints(0), "rest": ints(-1)},
    ),
    "Shape arithmetic": (
        [
            node("Shape", "x", "s", start=2, end=3),
            node("Div", "s two", "h"),
            node("Cast", "h", "f", to=TensorProto.FLOAT),
            node("Mul", "x f"),
        ],
        IMAGE,
        17,
        {"two": ints(2)},
    ),
    "Sigmoid": ([node("Sigmoid")], VECTOR, 17, {}),
    "Sign": ([node("Sign")], VECTOR, 17, {}),
    "Slice 1": ([node("Slice", starts=[1, 0], ends=[3, 4], axes=[1, 2])], IMAGE, 9, {}),
    "Slice 10": (
        [node("Slice", "x s e a t")],
        IMAGE,
        17,
        {"s": ints(-1, 0), "e": ints(-(2**31), 5), "a": ints(2, 3), "t": ints(-2, 2)},
    ),
    "Slice all axes": ([node("Slice", "x s e")], VECTOR, 17, {"s": ints(0, 2), "e": ints(1, 2**31)}),
    "Softmax 11": ([node("Softmax", axis=1)], IMAGE, 11, {}),
    "Softmax 13": ([node("Softmax", axis=1)], IMAGE, 17, {}),
    "Split 11": ([node("Split", "x", "a b", axis=1, split=[2, 4]), node("Concat", "b a", axis=1)], VECTOR, 11, {}),
    "Split 13": ([node("Split", "x s", "a b", axis=1), node("Concat", "b a", axis=1)], VECTOR, 17, {"s": ints(2, 4)}),
    "Split equally": ([node("Split", "x", "a b", axis=1), node("Sub", "a b")], VECTOR, 17, {}),
    "Split 18": (
        [node("Split", "x", "a b", axis=1, num_outputs=2), node("Concat", "b a", axis=1)],
        [1, 5],
        18,
        {},
    ),
    "Split in one": ([node("Split", "x", "y", axis=1)], VECTOR, 17, {}),
    "Squeeze 11": ([node("Squeeze", axes=[2])], [1, 4, 1, 3], 11, {}),
    "Squeeze 13": ([node("Squeeze", "x a")], [1, 4, 1, 3], 17, {"a": ints(-2)}),
    "Squeeze all": ([node("Squeeze")], [1, 4, 1, 3], 17, {}),
    "Sub": ([node("Sub", "c x")], VECTOR, 17, {"c": f32(1, 6)}),
    "Tanh": ([node("Tanh")], VECTOR, 17, {}),
    "Transpose": ([node("Transpose", perm=[0, 2, 3, 1])], IMAGE, 17, {}),
    "Transpose of the batch axis": (
        [node("Transpose", "x", "t"), node("MatMul", "t w", "m"), node("Transpose", "m", "y")],
        VECTOR,
        17,
        {"w": f32(1, 3)},
    ),
    "Unsqueeze 11": ([node("Unsqueeze", axes=[0, 3])], VECTOR, 11, {}),
    "Unsqueeze 13": ([node("Unsqueeze", "x a")], VECTOR, 17, {"a": ints(1, -1)}),
    "input (1, 1, 1, 5)": ([node("Flatten", "x", "f"), node("MatMul", "f w")], [1, 1, 1, 5], 8, {"w": f32(5, 3)}),
    "input without a batch axis": (
        [node("MatMul", "x w", "h"), node("Relu", "h", "r"), node("Add", "r b")],
        [5],
        17,
        {"w": f32(5, 3), "b": f32(3)},
    ),
    "image without a batch axis": (
        [node("Unsqueeze", "x a", "u"), node("Conv", "u w", "h"), node("Relu", "h", "r"), node("Squeeze", "r a", "y")],
        [4, 6, 5],
        17,
        {"a": ints(0), "w": f32(2, 4, 3, 3)},
    ),
    "free batch axis": ([node("MatMul", "x w")], ["n", 6], 17, {"w": f32(6, 2)}),
}
