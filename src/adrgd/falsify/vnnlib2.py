"""VNN-LIB 2.0, read by the package `vnnlib`: one network with one input tensor and one output tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from adrgd.errors import optional
from adrgd.falsify.cases import build_property
from adrgd.falsify.formula import Formula, Linear, add, at_most, conjoin, disjoin, multiply, scale
from adrgd.falsify.property import Property, PropertyError

COMPARISONS: dict[str, Callable[[Linear, Linear], Formula]] = {
    "LessEqual": lambda a, b: at_most(a, b),
    "GreaterEqual": lambda a, b: at_most(b, a),
    "LessThan": lambda a, b: at_most(a, b, strict=True),
    "GreaterThan": lambda a, b: at_most(b, a, strict=True),
    "Equal": lambda a, b: conjoin([at_most(a, b), at_most(b, a)]),
    "NotEqual": lambda a, b: disjoin([at_most(a, b, strict=True), at_most(b, a, strict=True)]),
}

CONNECTIVES: dict[str, Callable[[Sequence[Formula]], Formula]] = {"And": conjoin, "Or": disjoin}

ARITHMETIC: dict[str, Callable[[Sequence[Linear]], Linear]] = {
    "Plus": add,
    "Multiply": multiply,
    "Negate": lambda terms: scale(terms[0], -1.0),
    "Minus": lambda terms: add([terms[0], *(scale(term, -1.0) for term in terms[1:])]),
}


def parse(text: str) -> Property:
    """The property that the text states; tensors are numbered row by row.

    Raises:
        MissingExtraError: the package is not installed.
        PropertyError: malformed, several networks or tensors, or a hidden one.
    """
    package = optional("vnnlib", extra="falsify")
    try:
        query = package.parse_query_string(text)
    except Exception as error:  # the package raises some errors of its own, and some of C++
        raise PropertyError(f"expected VNN-LIB 2.0, found: {_first(str(error))}; correct the file") from error
    if len(query.networks) != 1:
        raise PropertyError(f"expected one network, found {len(query.networks)}; search each of them on its own")
    network = query.networks[0]
    for kind, count, wanted in (
        ("input", len(network.inputs), 1),
        ("output", len(network.outputs), 1),
        ("hidden", len(network.hidden), 0),
    ):
        if count != wanted:
            raise PropertyError(
                f"expected {wanted} {kind} tensors, found {count}; only networks with one input and one output are read"
            )
    inputs, outputs = (math.prod(tensor.shape) for tensor in (network.inputs[0], network.outputs[0]))
    asserted = [_formula(assertion.expr, network.inputs[0].name) for assertion in query.assertions]
    return build_property(asserted, inputs=inputs, outputs=outputs)


def _formula(node: Any, input_name: str) -> Formula:
    kind = type(node).__name__
    if kind in CONNECTIVES:
        return CONNECTIVES[kind]([_formula(child, input_name) for child in node.children()])
    left, right = (_term(child, input_name) for child in node.children())
    return COMPARISONS[kind](left, right)


def _term(node: Any, input_name: str) -> Linear:
    kind = type(node).__name__
    if kind == "Var":
        index = 0
        for place, size in zip(node.indices, node.shape, strict=True):
            index = index * size + place
        return Linear({index if node.name == input_name else -1 - index: 1.0}, 0.0)
    if kind in ARITHMETIC:
        return ARITHMETIC[kind]([_term(child, input_name) for child in node.children()])
    return Linear({}, float(node.lexeme))


def _first(message: str) -> str:
    """The first of the errors that the package lists as JSON, or its message."""
    try:
        first = json.loads(message)["errors"][0]
        return f"{first['message']} at line {first['line']} ({first['offendingSymbol']}: {first['hint'].rstrip('.')})"
    except (ValueError, LookupError, TypeError):
        return message.partition("\n")[0]
