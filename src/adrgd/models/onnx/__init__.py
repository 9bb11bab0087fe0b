"""ONNX files as PyTorch modules: a small interpreter that takes any batch size and floating-point type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from adrgd.errors import ModelError
from adrgd.models.onnx.choice import with_one_output
from adrgd.models.onnx.compiler import OPERATORS, Compiler
from adrgd.models.onnx.functions import expanded
from adrgd.models.onnx.graph import parse, read_model
from adrgd.models.onnx.verify import Source, compare_with_onnxruntime, open_session
from adrgd.models.program import Program

__all__ = ["OnnxNet", "load_onnx", "network_of", "read_onnx"]


class OnnxNet(nn.Module):
    """A network read from an ONNX file.

    Takes (B, *input_shape), or the same numbers as (B, n), for any B whatever batch size the file was written for,
    and returns (B, classes).

    Attributes:
        input_shape: shape of one example, without the file's batch dimension.
        classes: how many numbers the network returns for one example.
        output_shape: the shape that the file gives these.
        unscaled: the program's slot with the outputs before a final softmax; None when it does not end in one.
        before_softmax: leave such a softmax out, as classifiers are attacked.
    """

    def __init__(
        self, program: Program, input_shape: tuple[int, ...], classes: int, unscaled: int | None = None,
        output_shape: tuple[int, ...] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.output_shape = (classes,) if output_shape is None else output_shape
        self.program, self.unscaled, self.before_softmax = program, unscaled, False
        self.input_shape, self.classes = torch.Size(input_shape), classes
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(x) if self.before_softmax else self._flat(self.program(self._shaped(x)))

    def scores(self, x: Tensor) -> Tensor:
        """The outputs (B, classes) before a final softmax, which it leaves in the same order; else the outputs."""
        if self.unscaled is None:
            return self._flat(self.program(self._shaped(x)))
        return self._flat(self.program.run(self._shaped(x), self.program.steps[:-1], self.unscaled))

    def _shaped(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.input_shape:
            if x.ndim != 2 or x.shape[1] != self.input_shape.numel():
                raise ModelError(
                    f"expected a batch of inputs of shape {tuple(self.input_shape)} each, found a tensor of shape "
                    f"{tuple(x.shape)}; reshape it"
                )
            x = x.reshape(x.shape[0], *self.input_shape)
        return x

    def _flat(self, out: Tensor) -> Tensor:
        return out if out.ndim == 2 else out.reshape(len(out), self.classes)


def load_onnx(path: Path, *, session: Any = None, output: str | int | None = None) -> OnnxNet:
    """Read an .onnx or .onnx.gz file, and compare it with onnxruntime on two random inputs where that is installed.

    The network computes in double precision until it is moved to another type.

    Args:
        session: onnxruntime's of the same file, where there is one already; making it takes longer than all the rest.
        output: which of several, by name or number; see `adrgd.models.onnx.choice`.

    Raises:
        ModelError: the file cannot be read, needs an operator that is not supported, has no such output, or computes
            something else here than in onnxruntime.
    """
    model, content = read_model(path)
    if with_one_output(model, output, str(path)):
        content = model.SerializeToString()
    net, file = network_of(model, content, source=str(path))
    compare_with_onnxruntime(net, session or open_session(file.content), file)
    return net


def read_onnx(path: Path) -> tuple[OnnxNet, Source]:
    """The network of a file, which was not compared with anything yet, and what comparing it takes.

    Raises:
        ModelError: the file cannot be read, needs an operator that is not supported, or asks for more than the limits.
    """
    return network_of(*read_model(path), source=str(path))


def network_of(model: onnx.ModelProto, content: bytes, *, source: str) -> tuple[OnnxNet, Source]:
    """The network of a model in one piece, as `read_onnx` reads it.

    Args:
        content: the same as bytes.
        source: its file, for errors.

    Raises:
        ModelError: as in `read_onnx`.
    """
    graph = parse(expanded(model, OPERATORS, source=source), source=source)
    compiler = Compiler(graph)
    program, output = compiler.compile()
    shape = graph.input_shape
    if shape[0] > 1 and len(shape) > 1 and len(output.shape) > 1 and output.shape[0] == shape[0]:
        raise ModelError(
            f"expected {source!r} to describe one example, found a network for batches of exactly {shape[0]}; "
            "export it with a batch of one, or with a dynamic batch dimension"
        )
    classes = output.example.numel()
    last = graph.nodes[-1]
    whole = last.op == "Softmax" and output.shape[-1] == classes and last.attributes.get("axis", -1) in (-1, 1)
    net = OnnxNet(
        program,
        shape[1:] if shape[0] == 1 else shape,
        classes,
        unscaled=compiler.values[last.inputs[0]].slot if whole and len(output.shape) == 2 else None,
        output_shape=tuple(output.shape[1:] if len(output.shape) > 1 and output.shape[0] == 1 else output.shape),
    )
    return net, Source(source, content, graph.input, shape)
