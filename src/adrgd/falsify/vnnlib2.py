"""VNN-LIB 2.0, read by the package `vnnlib`: one network with one input tensor and one output tensor."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from adrgd.errors import optional
from adrgd.falsify.alternatives import check_time
from adrgd.falsify.cases import build_property
from adrgd.falsify.formula import Formula, Joint, Linear, Written, add, at_most, multiply, scale
from adrgd.falsify.property import Property, PropertyError
from adrgd.files import reading

DEEPEST = 200
BRACKET = re.compile(r";[^\n]*|[()]")

COMPARISONS: dict[str, Callable[[Linear, Linear], Formula]] = {
    "LessEqual": lambda a, b: at_most(a, b),
    "GreaterEqual": lambda a, b: at_most(b, a),
    "LessThan": lambda a, b: at_most(a, b, strict=True),
    "GreaterThan": lambda a, b: at_most(b, a, strict=True),
    "Equal": lambda a, b: Joint(True, (at_most(a, b), at_most(b, a))),
    "NotEqual": lambda a, b: Joint(False, (at_most(a, b, strict=True), at_most(b, a, strict=True))),
}

CONNECTIVES: dict[str, Callable[[Sequence[Formula]], Formula]] = {
    "And": lambda parts: Joint(True, parts),
    "Or": lambda parts: Joint(False, parts),
}

ARITHMETIC: dict[str, Callable[[Sequence[Linear]], Linear]] = {
    "Plus": add,
    "Multiply": multiply,
    "Negate": lambda terms: scale(terms[0], -1.0),
    "Minus": lambda terms: add([terms[0], *(scale(term, -1.0) for term in terms[1:])]),
}


def parse(text: str, *, deadline: float = math.inf) -> Property:
    """The property that the text states; tensors are numbered row by row.

    Raises:
        MissingExtraError: the package is not installed.
        PropertyError: malformed, several networks or tensors, or a hidden one.
        TimeUpError: the deadline, a value of `time.monotonic()`, has passed.
    """
    package = optional("vnnlib", extra="falsify")
    _check_depth(text)
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
    asserted = []
    for assertion in query.assertions:
        check_time(deadline)
        asserted.append(_value(assertion.expr, network.inputs[0].name))
    return build_property(asserted, inputs=inputs, outputs=outputs, deadline=deadline)


def _check_depth(text: str) -> None:
    """The package goes down into a formula by recursion, and so do we."""
    depth = 0
    for bracket in BRACKET.finditer(text):
        depth += {"(": 1, ")": -1}.get(bracket[0], 0)
        if depth > DEEPEST:
            raise PropertyError(f"expected at most {DEEPEST} brackets inside each other, found more; flatten them")


def _value(node: Any, input_name: str) -> Any:
    """The formula or the linear term of a node."""
    kind = type(node).__name__
    if kind in CONNECTIVES:
        return CONNECTIVES[kind]([_value(child, input_name) for child in node.children()])
    if kind in COMPARISONS:
        left, right = (_value(child, input_name) for child in node.children())
        return COMPARISONS[kind](left, right)
    if kind == "Var":
        index = 0
        for place, size in zip(node.indices, node.shape, strict=True):
            if not 0 <= place < size:
                raise PropertyError(f"expected an index of {node.name} from 0 to {size - 1}, found {place}; correct it")
            index = index * size + place
        return Linear({index if node.name == input_name else -1 - index: 1.0}, 0.0)
    if kind in ARITHMETIC:
        return ARITHMETIC[kind]([_value(child, input_name) for child in node.children()])
    return Linear({}, Written(node.lexeme))


def _first(message: str) -> str:
    """The first of the errors that the package lists as JSON, or its message."""
    try:
        first = reading.read_json(message)["errors"][0]
        return f"{first['message']} at line {first['line']} ({first['offendingSymbol']}: {first['hint'].rstrip('.')})"
    except (ValueError, LookupError, TypeError):
        return message.partition("\n")[0]
