"""The networks that a property is about: which file is whose, and all of them as one from one vector to one vector."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import onnx

from adrgd.errors import UsageError
from adrgd.falsify.alternatives import check_time
from adrgd.falsify.property import Declared, Property, PropertyError, Variable
from adrgd.falsify.replay import Replay, Session
from adrgd.models.onnx import OnnxNet, network_of
from adrgd.models.onnx.graph import read_model
from adrgd.models.onnx.joined import Part, inputs_of, joined, outputs_of
from adrgd.models.onnx.verify import compare_with_onnxruntime, open_session

NetworkFiles: TypeAlias = Path | Mapping[str, Path]
"""One network's file, or the files of several by the names that a property of version 2 gives them."""

FORM = "[('f', 'f.onnx'), ('g', 'g.onnx')]"


def network_files(words: str) -> NetworkFiles:
    """The file, or the files, that somebody names: a path, or the competition's list of names and paths.

    Raises:
        UsageError: it begins like such a list and is none.
    """
    if not words.lstrip().startswith("["):
        return Path(words)
    try:
        pairs = ast.literal_eval(words.strip())
        files = {str(name): Path(str(path)) for name, path in pairs}
        if not files or len(files) != len(pairs):
            raise ValueError("no names, or one of them twice")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise UsageError(f"expected a file or a list such as {FORM}, found {words[:80]!r}; correct it") from error
    return files


def load_networks(files: NetworkFiles, prop: Property, *, deadline: float = math.inf) -> tuple[OnnxNet, Replay, bool]:
    """The network of a property, what judges its inputs, and whether it is that of a single file as it stands.

    Several networks, or several inputs and outputs of one, become one network; inputs that the property makes equal
    are given once. Every file is run as it is where an input is judged.

    Raises:
        UsageError: a file cannot be read, or does not fit the property.
        TimeUpError: the deadline, a value of `time.monotonic()`, has passed; it is looked at between steps.
    """
    paths = _paths(files, prop.networks)
    known = {path: read_model(path) for path in dict.fromkeys(paths)}
    check_time(deadline)
    parts = [
        _part(known[path][0], path, prop.networks[number] if prop.networks else None)
        for number, path in enumerate(paths)
    ]
    _fit(prop.given, sum(math.prod(shape) for part in parts for shape in part.shapes()), "inputs")
    if prop.columns is None and [(len(part.inputs), len(part.outputs)) for part in parts] == [(1, 1)]:
        model, content = known[paths[0]]
    else:
        model = joined(parts, range(prop.inputs) if prop.columns is None else prop.columns)
        content = model.SerializeToString()
    net, source = network_of(model, content, source=parts[0].source)
    check_time(deadline)
    opened: dict[tuple[Path, tuple[str, ...], tuple[str, ...]], Session] = {}
    sessions = []
    for path, part in zip(paths, parts, strict=True):
        key = path, part.inputs, part.outputs
        if key not in opened:  # equal networks are one
            opened[key] = Session(path, known[path][1], part.inputs, part.outputs)
        sessions.append(opened[key])
    alone = sessions[0].session if content is known[paths[0]][1] else open_session(content)
    check_time(deadline)
    compare_with_onnxruntime(net, alone, source)
    _fit(prop.outputs, net.classes, "outputs")
    return net, Replay.of(sessions), len(parts) == 1 and alone is sessions[0].session


def _part(model: onnx.ModelProto, path: Path, network: Declared | None) -> Part:
    inputs = _matched(network.inputs if network else None, inputs_of(model), path, "input")
    outputs = _matched(network.outputs if network else None, outputs_of(model), path, "output")
    part = Part(model, str(path), inputs, outputs)
    if network:
        for variable, shape in zip(network.inputs, part.shapes(), strict=True):
            if variable.size != math.prod(shape):
                raise PropertyError(
                    f"expected {variable.name} to have the {math.prod(shape)} numbers of an input of {path}, found "
                    f"{variable.size} in the property; choose files that belong together"
                )
    return part


def _paths(files: NetworkFiles, declared: Sequence[Declared]) -> list[Path]:
    """The file of each network that the property declares; in version 1 that is one."""
    names = [network.name for network in declared]
    if isinstance(files, Path):
        own = [network for network in declared if not network.equal_to]
        if len(own) > 1:
            raise PropertyError(
                f"expected a file for each of the networks {' and '.join(one.name for one in own)}, found one file; "
                f'name them as "{FORM}"'
            )
        return [files] * max(1, len(declared))
    if not declared and len(files) == 1:
        return list(files.values())
    if unknown := [name for name in files if name not in names]:
        raise PropertyError(
            f"expected files of {' and '.join(names) or 'one network without a name'}, found one of {unknown[0]!r}; "
            "name the networks as the property does"
        )
    found: dict[str, Path] = {}
    for network in declared:
        path = files.get(network.name) or found.get(network.equal_to)
        if path is None:
            raise PropertyError(f'expected a file of the network {network.name}, found none; name all as "{FORM}"')
        if network.equal_to in found and path.resolve() != found[network.equal_to].resolve():
            raise PropertyError(
                f"expected the network {network.name} to be equal to {network.equal_to}, found another file; name the "
                "same file for both"
            )
        found[network.name] = path
    return [found[name] for name in names]


def _matched(variables: Sequence[Variable] | None, names: list[str], path: Path, kind: str) -> tuple[str, ...]:
    """The names in the network's file of the tensors that the property declares, in its order."""
    if not names:
        raise PropertyError(f"expected {path} to have an {kind}, found none; export the model again")
    if variables is None:
        return tuple(names)
    if len(variables) != len(names):
        raise PropertyError(
            f"expected a property about the {len(names)} {kind}s of {path}, found {len(variables)} in it; choose files "
            "that belong together"
        )
    chosen = tuple(variable.onnx or name for variable, name in zip(variables, names, strict=True))
    if sorted(chosen) != sorted(names):
        raise PropertyError(
            f"expected the {kind}s {', '.join(names)} of {path}, found {', '.join(chosen)} in the property; name them "
            "as the network does"
        )
    return chosen


def _fit(declared: int, found: int, kind: str) -> None:
    if declared != found:
        raise PropertyError(
            f"expected a property of the network's {found} {kind}, found {declared} in the property; "
            "choose files that belong together"
        )
