"""Operators that are defined by others: functions of a model's own, and those that the ONNX standard spells out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import onnx
import onnx.inliner

from adrgd.errors import ModelError

MOST = 100_000
"""Nodes that functions may come to: a function that calls another twice, which does the same, soon fills the memory."""

DEEPEST = 100
"""Functions that call each other."""

ROUNDS = 8
"""Definitions inside of definitions."""


def expanded(model: onnx.ModelProto, known: Container[str], *, source: str) -> onnx.ModelProto:
    """The model with all functions of its own, and all operators that are not `known` but defined, written out.

    Raises:
        ModelError: they call themselves, come to too many nodes, or make no sense.
    """
    try:
        if model.functions:
            _check_size(model, source)
            model = onnx.inliner.inline_local_functions(model)
        for _ in range(ROUNDS):
            open_ones = sorted(_defined(model, known))
            if not open_ones:
                break
            before = model.graph.node
            model = onnx.inliner.inline_selected_functions(_typed(model), open_ones, False, True)
            if [node.op_type for node in model.graph.node] == [node.op_type for node in before]:
                break
    except ModelError:
        raise
    except Exception as error:  # of the package `onnx`, whose errors have no common base
        raise ModelError(
            f"expected functions in {source!r} that can be written out, found: {str(error).partition(chr(10))[0]}; "
            "export the model without functions"
        ) from error
    return model


def _typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the types of all values, on which some definitions depend; an input that is left out has a name as well."""
    model = onnx.shape_inference.infer_shapes(model)
    known = {value.name for value in (*model.graph.value_info, *model.graph.input)}
    types = [(one.name, one.data_type) for one in model.graph.initializer if one.name not in known]
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in [*types, ("", onnx.TensorProto.FLOAT)]
    )
    return model


def _defined(model: onnx.ModelProto, known: Container[str]) -> set[tuple[str, str]]:
    """Operators that have no entry of their own, and a definition."""
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
    found = set()
    for node in _all(model.graph.node):
        domain = "" if node.domain == "ai.onnx" else node.domain
        name = f"{domain}.{node.op_type}" if domain else node.op_type
        if name in known or domain not in opsets:
            continue
        try:
            schema = onnx.defs.get_schema(node.op_type, opsets[domain], domain)
        except onnx.defs.SchemaError:
            continue
        if any(getattr(schema, f"has_{kind}function", False) for kind in ("", "context_dependent_")):
            found.add((node.domain, node.op_type))
    return found


def _all(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                waiting += graph.node


def _check_size(model: onnx.ModelProto, source: str) -> None:
    bodies = {(one.domain, one.name): list(_all(one.node)) for one in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Iterable[onnx.NodeProto], above: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            name = (node.domain, node.op_type)
            if name in above or len(above) > DEEPEST:
                raise ModelError(
                    f"expected functions in {source!r} that end, found that {node.op_type!r} calls itself, or others "
                    f"more than {DEEPEST} levels deep; export the model without functions"
                )
            if name in bodies and name not in sizes:
                sizes[name] = size(bodies[name], (*above, name))
            total += sizes.get(name, 1)
        return total

    total = size(_all(model.graph.node), ())
    if total > MOST:
        raise ModelError(
            f"expected functions in {source!r} that come to {MOST} nodes at most, found {total}; export the model "
            "without functions"
        )
