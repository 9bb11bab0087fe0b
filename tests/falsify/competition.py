"""A counterexample of VNN-LIB 2.0 as the competition judges it: read anew, run in onnxruntime, no tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import vnnlib


def accepted(text: str, query: str, files: Mapping[str, Path]) -> bool:
    """Whether the numbers after the first line satisfy a query, the outputs being those of the networks' files."""
    asked = vnnlib.parse_query_string(query)
    answer, *lines = text.splitlines()
    assert answer == "sat"
    values: dict[str, Any] = {}
    ahead = iter(lines)
    for network in asked.networks:
        for one in (*network.inputs, *network.outputs):
            name, kind, shape = next(ahead).split(maxsplit=2)
            assert (name, kind) == (one.name, "real" if one.dtype.name == "Real" else "float32")
            assert shape == str(list(one.shape))
            numbers = [float(next(ahead)) for _ in range(math.prod(one.shape))]
            values[name] = np.array(numbers, np.float32).reshape(one.shape)
    assert next(ahead, None) is None
    for network in asked.networks:
        session = onnxruntime.InferenceSession(files[network.name].read_bytes())
        shapes = {entry.name: entry.shape for entry in session.get_inputs()}
        names = [one.onnx_name or name for one, name in zip(network.inputs, shapes, strict=True)]
        fed = {name: values[one.name].reshape(shapes[name]) for one, name in zip(network.inputs, names, strict=True)}
        outputs = [
            one.onnx_name or entry.name for one, entry in zip(network.outputs, session.get_outputs(), strict=True)
        ]
        for one, found in zip(network.outputs, session.run(outputs, fed), strict=True):
            np.testing.assert_allclose(values[one.name], found.reshape(one.shape), rtol=1e-3, atol=1e-4)
            values[one.name] = found.reshape(one.shape)
    return all(_holds(assertion.expr, values) for assertion in asked.assertions)


def _holds(node: Any, values: Mapping[str, Any]) -> bool:
    kind = type(node).__name__
    if kind in ("And", "Or"):
        return (all if kind == "And" else any)(_holds(part, values) for part in node.args)
    left, right = _number(node.lhs, values), _number(node.rhs, values)
    return bool(
        {
            "LessThan": left < right, "LessEqual": left <= right, "GreaterThan": left > right,
            "GreaterEqual": left >= right, "Equal": left == right, "NotEqual": left != right,
        }[kind]
    )  # fmt: skip


def _number(node: Any, values: Mapping[str, Any]) -> float:
    kind = type(node).__name__
    if kind == "Var":
        return float(values[node.name][tuple(node.indices)])
    if kind == "Negate":
        return -_number(node.expr, values)
    if kind == "Minus":
        return _number(node.head, values) - sum(_number(one, values) for one in node.rest)
    if kind in ("Plus", "Multiply"):
        return (sum if kind == "Plus" else math.prod)(_number(one, values) for one in node.args)
    return float(node.value)
