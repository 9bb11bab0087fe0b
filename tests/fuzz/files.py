"""Sound files of each kind, small, to be damaged; made once a process."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import scipy.io
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

Array = np.ndarray[Any, np.dtype[Any]]


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def _onnx(nodes: list[onnx.NodeProto], shape: list[int], **constants: Array) -> bytes:
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def _node(op: str, inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], **attributes)


@cache
def networks() -> list[bytes]:
    """ONNX files."""
    random = np.random.default_rng(0)

    def floats(*shape: int) -> Array:
        return random.standard_normal(shape).astype(np.float32)

    def ints(*values: int) -> Array:
        return np.array(values, np.int64)

    return [
        _onnx([_node("Gemm", "x w b", "h"), _node("Relu", "h", "r"), _node("Gemm", "r v", "y", transB=1)], [1, 4],
              w=floats(4, 8), b=floats(8), v=floats(3, 8)),
        _onnx([_node("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[2, 2]), _node("Relu", "c", "r"),
               _node("MaxPool", "r", "p", kernel_shape=[2, 2]), _node("Flatten", "p", "f"), _node("MatMul", "f v")],
              [1, 1, 8, 8], w=floats(2, 1, 3, 3), b=floats(2), v=floats(18, 3)),
        _onnx([_node("Shape", "x", "s"), _node("ConstantOfShape", "s", "z"), _node("Add", "x z", "a"),
               _node("Reshape", "a t", "q"), _node("Transpose", "q", "u", perm=[0, 2, 1]), _node("Concat", "u u", "k",
               axis=1), _node("ReduceSum", "k i", "y", keepdims=0)], [1, 6], t=ints(1, 2, 3), i=ints(1)),
        _onnx([_node("Pad", "x p", "a"), _node("Slice", "a s e", "b"), _node("Gather", "b i", "g", axis=1),
               _node("Sigmoid", "g", "h"), _node("Softmax", "h")], [1, 5], p=ints(0, 1, 0, 2), s=ints(0, 0),
              e=ints(1, 6), i=ints(0, 2, 4)),
        _onnx([_node("BatchNormalization", "x a a b c", "n"), _node("ConvTranspose", "n w", "t", strides=[2, 2]),
               _node("GlobalAveragePool", "t", "g"), _node("Flatten", "g")], [1, 2, 3, 3], a=floats(2), b=floats(2),
              c=np.ones(2, np.float32), w=floats(2, 3, 2, 2)),
    ]  # fmt: skip


@cache
def nodes() -> list[bytes]:
    """ONNX files of one operator each; see corpus/make.py."""
    with zipfile.ZipFile(Path(__file__).parent / "corpus/nodes.zip") as archive:
        return [archive.read(name) for name in archive.namelist()]


@cache
def exported() -> bytes:
    """A .pt2 file."""
    buffer = io.BytesIO()
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(small_net(), (torch.zeros(2, 4),), dynamic_shapes=shapes), buffer)
    return buffer.getvalue()


@cache
def scripted() -> bytes:
    """A .pt file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(small_net()), buffer)
    return buffer.getvalue()


@cache
def weights() -> list[bytes]:
    """Checkpoints of `small_net`, of torch in both its formats and of safetensors (which begin with a size)."""
    state, made = small_net().state_dict(), []
    for new in (True, False):
        buffer = io.BytesIO()
        torch.save({"state": state, "epoch": 3}, buffer, _use_new_zipfile_serialization=new)
        made.append(buffer.getvalue())
    return [*made, safetensors.torch.save(state)]


@cache
def arrays() -> list[bytes]:
    """.npz files."""
    made = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, images=np.zeros((3, 8, 8), np.uint8), labels=np.arange(3))  # type: ignore[operator]
        made.append(buffer.getvalue())
    return made


def npz(**members: bytes) -> bytes:
    """An archive of array files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


@cache
def idx() -> tuple[bytes, bytes]:
    """Images and labels of MNIST's format."""
    return struct.pack(">4I", 0x803, 3, 4, 4) + bytes(48), struct.pack(">2I", 0x801, 3) + bytes(3)


@cache
def batch() -> bytes:
    """A batch of CIFAR-10."""
    content = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2], b"batch_label": b"x"}
    return pickle.dumps(content, protocol=2)


@cache
def pictures() -> list[tuple[str, bytes]]:
    """An ending and a file of each format."""
    image = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    made = []
    for ending, kind in ((".png", "PNG"), (".jpg", "JPEG"), (".bmp", "BMP"), (".gif", "GIF"), (".tif", "TIFF"),
                         (".webp", "WEBP"), (".ppm", "PPM"), (".tga", "TGA")):  # fmt: skip
        buffer = io.BytesIO()
        image.save(buffer, kind)
        made.append((ending, buffer.getvalue()))
    return made


@cache
def tables() -> dict[str, bytes]:
    """The same pictures in a parquet file, an Arrow stream, a tar archive, a .pt and a .mat file."""
    picture = pictures()[0][1]
    table = pa.table({"image": [picture] * 3, "label": [0, 1, 2]})
    made = {name: io.BytesIO() for name in ("parquet", "arrow", "tar", "pt", "mat")}
    pq.write_table(table, made["parquet"])
    with pa.ipc.new_stream(made["arrow"], table.schema) as stream:
        stream.write_table(table)
    with tarfile.open(fileobj=made["tar"], mode="w") as archive:
        for name, content in (("a.png", picture), ("a.cls", b"1"), ("b.png", picture), ("b.cls", b"0")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    torch.save({"images": torch.zeros(3, 1, 4, 4, dtype=torch.uint8), "labels": torch.arange(3)}, made["pt"])
    scipy.io.savemat(made["mat"], {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]])})
    return {name: file.getvalue() for name, file in made.items()}


PROPERTIES = (
    """(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n(declare-const Y_1 Real)
(assert (>= X_0 -1.0))\n(assert (<= X_0 1e-1))\n(assert (and (<= X_1 (- 0.5)) (>= X_1 -2))) ; a comment
(assert (or (and (<= Y_0 Y_1) (>= Y_0 0.25)) (not (< (+ Y_0 (* 2 Y_1)) 3)) (=> (<= Y_0 1) (>= Y_1 (/ 1 4)))))\n""",
    """(vnnlib-version <2.0>)\n(declare-network N (declare-input X real [2]) (declare-output Y real [2]))
(assert (and (>= X[0] -1.0) (<= X[0] 0.5) (>= X[1] 0.0) (<= X[1] 1.0)))
(assert (or (<= Y[0] Y[1]) (and (> (+ Y[0] (* 2.0 Y[1])) 3.0) (!= Y[0] 0.25)) (== Y[1] (- 0.5))))\n""",
)  # fmt: skip


def either(draw: Any, content: bytes) -> tuple[str, bytes]:
    """An ending and the content: compressed now and then."""
    return (".gz", gzip.compress(content)) if draw.random() < 0.2 else ("", content)


NOTE = json.dumps({"pos": 3, "full": False, "rows": [{"reward": 1.5}]})
