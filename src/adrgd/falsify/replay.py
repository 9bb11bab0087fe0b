"""Judge inputs by the original file: onnxruntime in the file's own precision, the box as the property writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adrgd.domain import round_down, round_up
from adrgd.errors import ModelError, optional
from adrgd.falsify.counterexample import Counterexample
from adrgd.falsify.property import Property
from adrgd.models.onnx.graph import read_bytes, read_model
from adrgd.models.onnx.verify import DTYPES

Array = np.ndarray[Any, np.dtype[Any]]


class Replay:
    """The network of an .onnx or .onnx.gz file as onnxruntime runs it, on one thread.

    Args:
        content: of the file, where it was read already.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ModelError: it cannot read the file, or the file's input is not one tensor of floating-point numbers.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        runtime = optional("onnxruntime", extra="falsify")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self.session = runtime.InferenceSession(
                content or _content(path), options, providers=["CPUExecutionProvider"]
            )
        except ModelError:
            raise
        except Exception as error:  # onnxruntime's errors have no common base
            raise ModelError(f"expected a file that onnxruntime can run, found {path}: {_first(error)}") from error
        entries = self.session.get_inputs()
        if len(entries) != 1 or entries[0].type not in DTYPES:
            found = ", ".join(entry.type for entry in entries)
            raise ModelError(f"expected {path} to take one tensor of floating-point numbers, found {found or 'none'}")
        self.path, self.name, self.dtype = path, entries[0].name, DTYPES[entries[0].type]
        self.shape = tuple(size if isinstance(size, int) and size > 0 else 1 for size in entries[0].shape)

    def outputs(self, x: Tensor) -> Tensor:
        """(k,) float64 outputs for one input (n,), rounded to the file's precision and given the file's shape.

        Raises:
            ModelError: the number of inputs does not fit, or onnxruntime cannot run it.
        """
        if x.numel() != np.prod(self.shape):
            raise ModelError(f"expected {self.path} to take {x.numel()} numbers, found an input of shape {self.shape}")
        fed = x.detach().double().numpy().astype(self.dtype).reshape(self.shape)
        try:
            found = self.session.run(None, {self.name: fed})[0]
        except Exception as error:
            raise ModelError(f"expected onnxruntime to run {self.path}, found: {_first(error)}") from error
        return torch.from_numpy(np.asarray(found, dtype=np.float64).reshape(-1).copy())

    def confirms(self, prop: Property, x: Tensor, tolerance: float = 0.0) -> Counterexample | None:
        """The counterexample at, or next to, the input x (n,), if it is one.

        x must lie inside a case's box, compared in float64 without rounding. It is then moved to the nearest point of
        that box that the file's precision can hold, and the constraints must hold there on the outputs. A side of the
        box too short to hold any such number, as [0.1, 0.1] in float32, keeps its float64 number; the network is fed
        the nearest one. `tolerance` widens the box and eases the constraints, each by this absolute amount.
        """
        x = x.detach().double().reshape(-1)
        known: dict[bytes, Tensor] = {}
        for cases in prop.boxes():
            box = prop.cases[cases[0]]
            if not box.contains(x[None], tolerance):
                continue
            lower, upper = box.innermost
            point = self._nearest(x, lower - tolerance, upper + tolerance)
            key = point.numpy().tobytes()
            if key not in known:
                known[key] = self.outputs(point)
            if not known[key].isfinite().all():  # numbers that are none satisfy nothing
                continue
            for index in cases:
                if prop.cases[index].holds(point[None], known[key][None], tolerance):
                    return Counterexample(point, known[key], index, box)
        return None

    def _nearest(self, x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """x, its coordinates moved to the nearest number of the file's precision inside the box where there is one."""
        dtype = torch.from_numpy(np.zeros((), self.dtype)).dtype
        low, high = round_up(lower, dtype), round_down(upper, dtype)
        near = torch.minimum(torch.maximum(x.to(dtype), low), high)
        # a side with no such number keeps its own, inside the decimals of the file
        return torch.where(low <= high, near.double(), torch.minimum(torch.maximum(x, lower), upper))


def _content(path: Path) -> bytes:
    try:
        return read_model(path)[1]
    except ModelError:
        return read_bytes(path)  # for onnxruntime to say what is wrong with it


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
