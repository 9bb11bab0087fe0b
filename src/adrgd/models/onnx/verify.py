"""Check a network read from an ONNX file against onnxruntime."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from torch import nn

from adrgd.errors import ModelError
from adrgd.models.program import relative_gap

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-3
DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def compare_with_onnxruntime(net: nn.Module, content: bytes, *, name: str, shape: tuple[int, ...], source: str) -> None:
    """Run two random examples through both; do nothing where onnxruntime is missing or cannot run the file itself.

    Raises:
        ModelError: the outputs differ by more than 1e-3 of the largest one.
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        return
    generator = np.random.default_rng(0)
    samples = [generator.random(shape), generator.standard_normal(shape)]
    expected = _run(runtime, content, name, samples)
    for sample, wanted in zip(samples, expected, strict=False):
        with torch.no_grad():
            found = net(torch.from_numpy(sample).reshape(1, -1))
        gap = relative_gap(found, torch.from_numpy(wanted).reshape(1, -1))
        if gap > TOLERANCE:
            raise ModelError(
                f"expected {source!r} to compute what onnxruntime does, found outputs that differ by {gap:.2g} of "
                "the largest; load the network as a PyTorch module through package.module:factory instead"
            )


def _run(runtime: Any, content: bytes, name: str, samples: list[Array]) -> list[Array]:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    # optimising the graph takes longer than running it twice
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        dtype = DTYPES[session.get_inputs()[0].type]
        return [session.run(None, {name: sample.astype(dtype)})[0] for sample in samples]
    except Exception:  # onnxruntime's errors have no common base; a file it refuses cannot be compared
        return []
