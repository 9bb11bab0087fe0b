"""Check a network read from an ONNX file against onnxruntime."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from adrgd.errors import ModelError

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-3  # of each output
EPSILON = 2.0**-23  # of the largest one, beside which it cannot be told from zero
ROUNDING = 16  # by how much more than ours the rounding of another program may be off
NEAR, SHAKE = 16, 1e-6  # points at which ours is looked at, and how far they are, in units of their coordinates
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
        with contextlib.redirect_stdout(io.StringIO()):  # where it prints some of its errors
            return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime's errors have no common base
        return None


def compare_with_onnxruntime(net: nn.Module, session: Any, file: Source) -> None:
    """Run two random examples here, in one batch, and there; one of them alone where there is no session.

    Each output may differ by 1e-3 of itself; and by some times what single precision changes of it here, which is all
    that is left where large numbers cancel out.

    Raises:
        ModelError: one of them differs by more, or two of them cannot be run together.
    """
    generator = np.random.default_rng(0)
    samples = [generator.random(file.shape), generator.standard_normal(file.shape)]
    x = torch.from_numpy(np.stack(samples)).reshape(2, -1)
    try:
        with torch.no_grad():
            alone, together = net(x[:1]).double(), net(x).double()
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise _mixing(file, f"that one or two of them cannot be run ({error})") from error
    found = together.reshape(2, -1)
    if found.shape[1] != alone.numel():
        raise _mixing(file, f"{together.numel()} outputs for two where one has {alone.numel()}")
    if what := _gap(net, x[:1], found[0], alone.reshape(-1)):
        raise _mixing(file, what.replace("it has", "it alone has"))
    for row, wanted in enumerate(_run(session, file.name, samples)):
        expected = torch.from_numpy(wanted).double().reshape(-1)
        if found[row].shape != expected.shape:
            raise _different(file, f"{found.shape[1]} outputs where it has {len(expected)}")
        if what := _gap(net, x[row : row + 1], found[row], expected):
            raise _different(file, what)


def _gap(net: nn.Module, x: torch.Tensor, found: torch.Tensor, expected: torch.Tensor) -> str:
    """Where the outputs found for x (1, n) are too far from those expected; "" if nowhere."""
    if not len(expected):
        return ""
    allowed = TOLERANCE * expected.abs() + EPSILON * expected.abs().nan_to_num(0, 0, 0).max()
    if _agree(found, expected, allowed):
        return ""
    allowed = allowed + ROUNDING * _rounding(net, x)
    if _agree(found, expected, allowed):
        return ""
    gap = (found - expected).abs() / allowed
    at = int(gap.nan_to_num(torch.inf, torch.inf).argmax())
    return f"{float(found[at]):.6g} where it has {float(expected[at]):.6g} (output {at})"


def _rounding(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """By how much single precision changes each output near x (1, n)."""
    noise = torch.randn(NEAR, x.shape[1], dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    near = (x * (1 + SHAKE * noise)).float()
    with torch.no_grad():
        single, double = copy.deepcopy(net).float()(near), net(near.double())
    apart: torch.Tensor = (single.double() - double).abs().nan_to_num(0, 0, 0).reshape(NEAR, -1)
    return apart.amax(0)


def _agree(found: torch.Tensor, expected: torch.Tensor, allowed: torch.Tensor) -> bool:
    same = (found == expected) | (found.isnan() & expected.isnan())
    return bool((same | ((found - expected).abs() <= allowed)).all())


def _different(file: Source, what: str) -> ModelError:
    return ModelError(
        f"expected {file.path!r} to compute what onnxruntime does, found {what}; load the network as a PyTorch module "
        "through package.module:factory instead"
    )


def _mixing(file: Source, what: str) -> ModelError:
    return ModelError(
        f"expected {file.path!r} to compute each example of a batch by itself, found {what}; load the network as a "
        "PyTorch module through package.module:factory instead"
    )


def _run(session: Any, name: str, samples: list[Array]) -> list[Array]:
    try:
        dtype = DTYPES[session.get_inputs()[0].type]
        return [session.run(None, {name: sample.astype(dtype)})[0] for sample in samples]
    except Exception:  # as above; a file that it refuses, or that is not there, cannot be compared
        return []
