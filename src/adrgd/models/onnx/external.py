"""Weights that an ONNX file keeps in files beside it: taken in from its own folder, and from nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import onnx

from adrgd.errors import ModelError
from adrgd.files import limits, reading

MOST = 2**31 - 1  # bytes that protobuf, and so onnxruntime, takes as one piece


def take_in(model: onnx.ModelProto, path: Path) -> bool:
    """Put the numbers of all tensors into the model; returns whether there were any elsewhere.

    Args:
        path: of the file; the others have to be in its folder, symbolic links followed.

    Raises:
        ModelError: a file is named that is not there, or lies outside, or is too small, or all are too large.
    """
    tensors = [one for one in _tensors(model) if one.data_location == onnx.TensorProto.EXTERNAL]
    total = 0
    for tensor in tensors:
        try:
            content = _content({entry.key: entry.value for entry in tensor.external_data}, path, MOST - total)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"expected the weights {tensor.name!r} of {str(path)!r} in a file beside it, found {error}; put all "
                "files of the model into one folder, or save it as a single file"
            ) from error
        total += len(content)
        tensor.raw_data = content
        del tensor.external_data[:]
        tensor.data_location = onnx.TensorProto.DEFAULT
    return bool(tensors)


def _content(entry: dict[str, str], path: Path, most: int) -> bytes:
    name = entry.get("location", "")
    pure, folder = PurePosixPath(name), os.path.realpath(path.parent)
    if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name or "\0" in name:
        raise ValueError(f"{name!r}, which is no name inside its folder")
    place = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([place, folder]) != folder:
        raise ValueError(f"{name!r}, which is a link to outside of its folder")
    start = int(entry.get("offset") or 0)
    with reading.open_regular(Path(place)) as file:
        size = os.fstat(file.fileno()).st_size
        length = int(entry.get("length") or size - start)
        if start < 0 or length < 0 or start + length > size:
            raise ValueError(f"{name!r} of {size} bytes, from which bytes {start} to {start + length} are asked for")
        if length > most:
            raise ValueError(f"more than {limits.shown(MOST)} in all files together")
        limits.check("network", length, repr(name))
        file.seek(start)
        return file.read(length)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All tensors of a model, wherever they may stand."""
    graphs = [model.graph, *(graph for info in model.training_info for graph in (info.initialization, info.algorithm))]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
