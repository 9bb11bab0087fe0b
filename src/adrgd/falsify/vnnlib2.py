"""VNN-LIB 2.0, read by the package `vnnlib`: any number of networks, each with tensors of inputs and outputs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adrgd.errors import optional
from adrgd.falsify.alternatives import check_time
from adrgd.falsify.cases import build_property
from adrgd.falsify.formula import Formula, Joint, Linear, Written, add, at_most, multiply, scale
from adrgd.falsify.property import Declared, Property, PropertyError, Variable
from adrgd.files import reading

DEEPEST = 200
BRACKET = re.compile(r";[^\n]*|[()]")

KINDS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16", "Real": "real", "Unknown": "real"}

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
    """The property that the text states; tensors are numbered one after the other, row by row.

    Raises:
        MissingExtraError: the package is not installed.
        PropertyError: malformed, or about hidden tensors.
        TimeUpError: the deadline, a value of `time.monotonic()`, has passed.
    """
    package = optional("vnnlib", extra="falsify")
    _check_depth(text)
    try:
        query = package.parse_query_string(text)
    except Exception as error:  # the package raises some errors of its own, and some of C++
        raise PropertyError(f"expected VNN-LIB 2.0, found: {_first(str(error))}; correct the file") from error
    networks = tuple(_declared(network) for network in query.networks)
    first: dict[str, int] = {}
    counts = {"inputs": 0, "outputs": 0}
    for kind in counts:
        for variable in (one for network in networks for one in getattr(network, kind)):
            first[variable.name] = counts[kind] if kind == "inputs" else -1 - counts[kind]
            counts[kind] += variable.size
    asserted = []
    for assertion in query.assertions:
        check_time(deadline)
        asserted.append(_value(assertion.expr, first))
    prop = build_property(
        asserted, inputs=counts["inputs"], outputs=counts["outputs"], deadline=deadline,
        name=lambda at: _name(networks, at),
    )  # fmt: skip
    return replace(prop, networks=networks)


def _name(networks: Sequence[Declared], at: int) -> str:
    """What the file calls an input."""
    for variable in (one for network in networks for one in network.inputs):
        if at < variable.size:
            places = []
            for size in reversed(variable.shape):
                at, place = divmod(at, size)
                places.append(str(place))
            return f"{variable.name}[{','.join(reversed(places))}]" if places else variable.name
        at -= variable.size
    return f"input {at}"


def _declared(network: Any) -> Declared:
    if network.hidden:
        raise PropertyError(
            f"expected inputs and outputs alone in the network {network.name}, found the hidden tensor "
            f"{network.hidden[0].name}; only what goes in and comes out is read"
        )
    inputs, outputs = (
        tuple(
            Variable(one.name, KINDS.get(one.dtype.name, one.dtype.name.lower()), tuple(one.shape), one.onnx_name or "")
            for one in tensors
        )
        for tensors in (network.inputs, network.outputs)
    )
    for kind, tensors in (("input", inputs), ("output", outputs)):
        if not tensors:
            raise PropertyError(f"expected the network {network.name} to have an {kind}, found none; declare one")
    return Declared(network.name, inputs, outputs, network.equal_to or "")


def _check_depth(text: str) -> None:
    """The package goes down into a formula by recursion, and so do we."""
    depth = 0
    for bracket in BRACKET.finditer(text):
        depth += {"(": 1, ")": -1}.get(bracket[0], 0)
        if depth > DEEPEST:
            raise PropertyError(f"expected at most {DEEPEST} brackets inside each other, found more; flatten them")


def _value(node: Any, first: Mapping[str, int]) -> Any:
    """The formula or the linear term of a node; `first` is the key of each tensor's first number."""
    kind = type(node).__name__
    if kind in CONNECTIVES:
        return CONNECTIVES[kind]([_value(child, first) for child in node.children()])
    if kind in COMPARISONS:
        left, right = (_value(child, first) for child in node.children())
        return COMPARISONS[kind](left, right)
    if kind == "Var":
        index = 0
        for place, size in zip(node.indices, node.shape, strict=True):
            if not 0 <= place < size:
                raise PropertyError(f"expected an index of {node.name} from 0 to {size - 1}, found {place}; correct it")
            index = index * size + place
        start = first[node.name]
        return Linear({start + index if start >= 0 else start - index: 1.0}, 0.0)
    if kind in ARITHMETIC:
        return ARITHMETIC[kind]([_value(child, first) for child in node.children()])
    return Linear({}, Written(node.lexeme))


def _first(message: str) -> str:
    """The first of the errors that the package lists as JSON, or its message."""
    try:
        first = reading.read_json(message)["errors"][0]
        return f"{first['message']} at line {first['line']} ({first['offendingSymbol']}: {first['hint'].rstrip('.')})"
    except (ValueError, LookupError, TypeError):
        return message.partition("\n")[0]
