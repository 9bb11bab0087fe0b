"""Check a network read from an ONNX file against onnxruntime."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from adrgd.errors import ModelError
from adrgd.models.program import relative_gap

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-3
DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class Source:
    """A file as onnxruntime takes it: its name, the bytes, and the name and the shape of its input."""

    path: str
    content: bytes
    name: str
    shape: tuple[int, ...]


def open_session(content: bytes) -> Any:
    """onnxruntime's session of a file, made in a hurry; None where it is not installed or cannot run the file."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        return None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    # optimising the graph takes longer than running it twice
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime's errors have no common base
        return None


def compare_with_onnxruntime(net: nn.Module, session: Any, file: Source) -> None:
    """Run two random examples through both; do nothing where there is no session, or it cannot run them.

    Raises:
        ModelError: the outputs differ by more than 1e-3 of the largest one.
    """
    generator = np.random.default_rng(0)
    samples = [generator.random(file.shape), generator.standard_normal(file.shape)]
    for sample, wanted in zip(samples, _run(session, file.name, samples), strict=False):
        with torch.no_grad():
            found = net(torch.from_numpy(sample).reshape(1, -1))
        gap = relative_gap(found, torch.from_numpy(wanted).reshape(1, -1))
        if gap > TOLERANCE:
            raise ModelError(
                f"expected {file.path!r} to compute what onnxruntime does, found outputs that differ by {gap:.2g} of "
                "the largest; load the network as a PyTorch module through package.module:factory instead"
            )


def _run(session: Any, name: str, samples: list[Array]) -> list[Array]:
    try:
        dtype = DTYPES[session.get_inputs()[0].type]
        return [session.run(None, {name: sample.astype(dtype)})[0] for sample in samples]
    except Exception:  # as above; a file that it refuses, or that is not there, cannot be compared
        return []
