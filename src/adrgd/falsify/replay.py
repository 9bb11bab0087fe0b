"""Judge inputs by the original file: onnxruntime in the file's own precision, the box as the property writes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


class Session:
    """The network of an .onnx or .onnx.gz file as onnxruntime runs it, on one thread.

    Args:
        content: of the file, where it was read already.
        inputs, outputs: the names of those that are used, in the order of their numbers; all, in the file's order,
            unless given.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ModelError: it cannot read the file, or the file's inputs are not floating-point numbers of one type.
    """

    def __init__(
        self, path: Path, content: bytes | None = None, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
    ) -> None:
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
        entries = {entry.name: entry for entry in self.session.get_inputs()}
        used = [entries[name] for name in inputs or entries]
        kinds = dict.fromkeys(entry.type for entry in used)
        if len(kinds) != 1 or not set(kinds) <= set(DTYPES):
            found = ", ".join(kinds) or "none"
            raise ModelError(f"expected {path} to take floating-point numbers of one type, found {found}")
        self.path, self.dtype = path, DTYPES[used[0].type]
        self.shapes = {
            entry.name: tuple(size if isinstance(size, int) and size > 0 else 1 for size in entry.shape)
            for entry in used
        }
        self.size = sum(math.prod(shape) for shape in self.shapes.values())
        self.names = list(outputs) or None

    def outputs(self, x: Array) -> Array:
        """All outputs (k,) in float64 for all inputs (size,), rounded to the file's precision."""
        fed, at = {}, 0
        for name, shape in self.shapes.items():
            fed[name] = x[at : at + math.prod(shape)].astype(self.dtype).reshape(shape)
            at += math.prod(shape)
        try:
            found = self.session.run(self.names, fed)
        except Exception as error:
            raise ModelError(f"expected onnxruntime to run {self.path}, found: {_first(error)}") from error
        return np.concatenate([np.asarray(one, dtype=np.float64).reshape(-1) for one in found])


class Replay:
    """The judge of inputs: the network of an .onnx or .onnx.gz file in onnxruntime, or several of them.

    Args:
        path, content: as for `Session`.

    Raises:
        MissingExtraError, ModelError: as there.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self._take([Session(path, content)])

    @classmethod
    def of(cls, sessions: Sequence[Session]) -> Replay:
        """Of networks whose inputs, and whose outputs, stand one after the other; all compute in one precision."""
        made = cls.__new__(cls)
        made._take(sessions)
        return made

    def _take(self, sessions: Sequence[Session]) -> None:
        self.sessions, self.dtype = tuple(sessions), sessions[0].dtype

    def outputs(self, x: Tensor) -> Tensor:
        """(k,) float64 outputs for one input (n,), rounded to the file's precision and given the file's shape.

        Raises:
            ModelError: the number of inputs does not fit, or onnxruntime cannot run it.
        """
        wanted = sum(session.size for session in self.sessions)
        if x.numel() != wanted:
            names = " and ".join(dict.fromkeys(str(session.path) for session in self.sessions))
            raise ModelError(f"expected {names} to take {x.numel()} numbers, found {wanted}")
        numbers, found, at = x.detach().double().numpy(), [], 0
        for session in self.sessions:
            found.append(session.outputs(numbers[at : at + session.size]))
            at += session.size
        return torch.from_numpy(np.concatenate(found))

    def confirms(self, prop: Property, x: Tensor, tolerance: float = 0.0) -> Counterexample | None:
        """The counterexample at, or next to, the input x, if it is one.

        x must lie inside a case's box, compared in float64 without rounding. It is then moved to the nearest point of
        that box that the file's precision can hold, and the constraints must hold there on the outputs. A side of the
        box too short to hold any such number, as [0.1, 0.1] in float32, keeps its float64 number; the network is fed
        the nearest one. `tolerance` widens the box and eases the constraints, each by this absolute amount.

        Args:
            x: (prop.inputs,), or all inputs of the property's file, (prop.given,).
        """
        x = x.detach().double().reshape(-1)
        if len(x) == prop.given:
            gathered = prop.gathered(x)
            if gathered is None:
                return None
            x = gathered
        known: dict[bytes, Tensor] = {}
        for cases in prop.boxes():
            box = prop.cases[cases[0]]
            if not box.contains(x[None], tolerance):
                continue
            lower, upper = box.innermost
            point = self._nearest(x, lower - tolerance, upper + tolerance)
            key = point.numpy().tobytes()
            if key not in known:
                known[key] = self.outputs(prop.spread(point))
            if not known[key].isfinite().all():  # numbers that are none satisfy nothing
                continue
            for index in cases:
                if prop.cases[index].holds(point[None], known[key][None], tolerance):
                    return Counterexample(prop.spread(point), known[key], index, prop)
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
