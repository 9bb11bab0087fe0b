"""ONNX operators that are activations, and activations as exporters write them out, and what they are known as."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto
from onnx_cases import node

KNOWN_AS: dict[str, tuple[list[onnx.NodeProto], int, dict[str, np.ndarray], list[str]]] = {}
"""Nodes, opset, constants, and the kinds of the activations that gates see."""


def entry(name: str, nodes: list[onnx.NodeProto], kinds: str, opset: int = 17, **constants: float) -> None:
    arrays = {key: np.array(value, dtype=np.float32) for key, value in constants.items()}
    KNOWN_AS[name] = (nodes, opset, arrays, kinds.split("|"))


for _op, _kind in (
    ("Abs", "abs"), ("Ceil", "ceil"), ("Celu", "celu"), ("Cos", "cos"), ("Elu", "elu"), ("Erf", "erf"),
    ("Floor", "floor"), ("HardSigmoid", "clamp"), ("HardSwish", "hardswish"), ("LeakyRelu", "leaky_relu"),
    ("Relu", "relu"), ("Round", "round"), ("Selu", "selu"), ("Shrink", "hardshrink"), ("Sigmoid", "sigmoid"),
    ("Sign", "sign"), ("Sin", "sin"), ("Softplus", "softplus"), ("Softsign", "softsign"), ("Tanh", "tanh"),
    ("ThresholdedRelu", "threshold"),
):  # fmt: skip
    entry(_op, [node(_op)], _kind)
entry("Elu of alpha", [node("Elu", alpha=0.5)], "elu")
entry("Gelu", [node("Gelu")], "gelu", 20)
entry("Gelu tanh", [node("Gelu", approximate="tanh")], "gelu", 20)
entry("Gelu of onnxruntime", [node("Gelu", domain="com.microsoft")], "gelu")
entry("FastGelu", [node("FastGelu", domain="com.microsoft")], "gelu")
entry("BiasGelu", [node("BiasGelu", "x b", domain="com.microsoft")], "gelu", b=[0.1, -0.1, 0.2, 0.3, 0, 1])
entry("QuickGelu", [node("QuickGelu", domain="com.microsoft")], "silu")
entry("HardSigmoid of torch", [node("HardSigmoid", alpha=1 / 6)], "hardsigmoid")
entry("Mish", [node("Mish")], "mish", 18)
entry("Shrink soft", [node("Shrink", bias=0.5)], "softshrink")
entry("Shrink between", [node("Shrink", lambd=0.7, bias=0.2)], "hardshrink|sign|sign")
entry("Selu of others", [node("Selu", alpha=1.5, gamma=1.2)], "elu")
entry("Max with zero", [node("Max", "x z")], "relu", z=0)
entry("ReduceMax", [node("ReduceMax", axes=[1])], "amax")
entry("ArgMax", [node("ArgMax", "x", "i", axis=1), node("Cast", "i", to=TensorProto.FLOAT)], "amax|sign")
entry(
    "Cast to whole numbers",
    [node("Cast", "x", "i", to=TensorProto.INT32), node("Cast", "i", to=TensorProto.FLOAT)],
    "trunc",
)
entry("Greater", [node("Greater", "x c", "b"), node("Cast", "b", to=TensorProto.FLOAT)], "sign", c=0.25)
entry(
    "Not LessOrEqual",
    [node("LessOrEqual", "x c", "b"), node("Not", "b", "n"), node("Cast", "n", to=TensorProto.FLOAT)],
    "sign",
    c=0.25,
)
entry(
    "And",
    [
        node("Greater", "x c", "a"),
        node("Less", "x d", "b"),
        node("And", "a b", "n"),
        node("Cast", "n", to=TensorProto.FLOAT),
    ],
    "sign|sign|relu",
    c=-0.5,
    d=0.5,
)
entry("Hardmax", [node("Hardmax", axis=1)], "amax|sign")
entry("QuantizeLinear", [node("QuantizeLinear", "x s", "q"), node("DequantizeLinear", "q s")], "round|clamp", s=0.1)
entry("SiLU", [node("Sigmoid", "x", "s"), node("Mul", "x s")], "silu, written out")
entry(
    "GELU by Erf",
    [
        node("Div", "x r", "a"),
        node("Erf", "a", "e"),
        node("Add", "e o", "f"),
        node("Mul", "x f", "g"),
        node("Mul", "g h"),
    ],
    "gelu, written out",
    r=[math.sqrt(2)],
    o=1,
    h=0.5,
)
entry(
    "GELU by Tanh",
    [
        node("Mul", "x x", "q"),
        node("Mul", "q x", "p"),
        node("Mul", "p c", "c3"),
        node("Add", "x c3", "i"),
        node("Mul", "i s", "j"),
        node("Tanh", "j", "t"),
        node("Add", "t o", "u"),
        node("Mul", "x u", "v"),
        node("Mul", "v h"),
    ],
    "gelu, written out",
    c=0.044715,
    s=math.sqrt(2 / math.pi),
    o=1,
    h=0.5,
)
entry("Mish by Softplus", [node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "x t")], "mish, written out")
entry(
    "HardSwish by HardSigmoid",
    [node("HardSigmoid", "x", "s", alpha=1 / 6), node("Mul", "x s")],
    "hardswish, written out",
)
entry(
    "HardSwish by Clip",
    [node("Add", "x three", "a"), node("Clip", "a zero six", "b"), node("Div", "b six", "c"), node("Mul", "x c")],
    "hardswish, written out",
    three=3,
    zero=0,
    six=6,
)
entry(
    "ELU by Where",
    [node("Exp", "x", "e"), node("Sub", "e one", "m"), node("Greater", "x zero", "p"), node("Where", "p x m")],
    "elu, written out",
    one=1,
    zero=0,
)

POINTS = np.array(
    [[-8.0, -3.0, -1.5, -1.0, -0.7, -0.5], [-0.2, -0.0, 0.0, 0.2, 0.25, 0.5], [0.7, 1.0, 1.25, 1.5, 3.0, 8.0],
     *np.random.default_rng(3).standard_normal((4, 6)) * 2],
    dtype=np.float32,
)  # fmt: skip
"""Where these change their form, and others."""
