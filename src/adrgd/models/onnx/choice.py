"""One output of a model that has several: the one asked for, or the only one that can be meant."""

from __future__ import annotations

import onnx

from adrgd.errors import ModelError, warn
from adrgd.models.onnx.graph import needed
from adrgd.models.onnx.kinds import FLOATS

ZIPMAP = "ZipMap"


def with_one_output(model: onnx.ModelProto, wanted: str | int | None, source: str) -> bool:
    """Leave one output in a model, and the nodes that it needs; whether anything changed.

    The tables by class that converters of scikit-learn's classifiers put behind the probabilities are left out.

    Args:
        wanted: its name or number; where there is none, a model of several must have one of floating-point numbers
            alone, or one named logits, which is said.

    Raises:
        ModelError: there is no such output, or none shows as the one that is meant.
    """
    given = list(model.graph.output)
    tables = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == ZIPMAP}
    if wanted is None and len(given) == 1 and given[0].name not in tables:
        return False
    names = [one.name for one in given]
    found = _asked(names, wanted, source) if wanted is not None else _obvious(given, tables, source)
    if wanted is None and len(given) > 1:
        warn(f"{source} has the outputs {', '.join(names)}: {found} is taken; say another by ?output=NAME")
    chosen = next(one for one in given if one.name == found)
    if found in tables:
        chosen = onnx.ValueInfoProto(name=tables[found])
        chosen.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in needed(model.graph.node, chosen.name)]
    output = onnx.ValueInfoProto.FromString(chosen.SerializeToString())
    del model.graph.output[:], model.graph.node[:]
    model.graph.output.append(output)
    model.graph.node.extend(kept)
    return True


def _asked(names: list[str], wanted: str | int, source: str) -> str:
    if isinstance(wanted, int) and -len(names) <= wanted < len(names):
        return names[wanted]
    if wanted in names:
        return str(wanted)
    raise ModelError(f"expected output={wanted} among the outputs of {source!r}, found {', '.join(names)}; choose one")


def _obvious(given: list[onnx.ValueInfoProto], tables: dict[str, str], source: str) -> str:
    numbers = [one.name for one in given if one.name in tables or one.type.tensor_type.elem_type in FLOATS]
    for found in (numbers, [name for name in numbers if name == "logits"]):
        if len(found) == 1:
            return found[0]
    raise ModelError(
        f"expected {source!r} to have one output, found {', '.join(one.name for one in given)}; say which by "
        "?output=NAME"
    )
