"""ONNX files that ask for too much, or for files that are not theirs, are refused before either happens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from adrgd import ModelError
from adrgd.files import limits
from adrgd.models.onnx import load_onnx
from adrgd.models.onnx.room import Room


def save(file: Path, nodes: list[onnx.NodeProto], shape: list[int], **constants: np.ndarray[Any, Any]) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
    return file


def node(op: str, inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], **attributes)


def ints(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=np.int64)


HUGE = 10**11

BOMBS: dict[str, tuple[list[onnx.NodeProto], list[int], dict[str, Any]]] = {
    "constant": ([node("ConstantOfShape", "s", "c"), node("ReduceSum", "c", "t"), node("Add", "x t")], [1, 2],
                 {"s": ints(HUGE)}),
    "broadcast": ([node("Reshape", "x s", "c"), node("Mul", "c x")], [1, 100_000], {"s": ints(100_000, 1)}),
    "pad": ([node("Pad", "x p")], [1, 2], {"p": ints(0, HUGE, 0, 0)}),
    "window": ([node("MaxPool", "x", kernel_shape=[1, 1], pads=[0, 200_000, 200_000, 0])], [1, 1, 2, 2], {}),
    "product": ([node("ConstantOfShape", "s", "c"), node("MatMul", "c r", "p"), node("ReduceSum", "p", "t"),
                 node("Add", "x t")], [1, 2], {"s": ints(200_000, 1), "r": np.ones((1, 100_000), np.float32)}),
    "gather": ([node("Gather", "x i", axis=1)], [1, 1, 100_000], {"i": np.zeros(3000, np.int64)}),
    "tile": ([node("Tile", "x r")], [1, 2], {"r": ints(1, HUGE)}),
    "expand": ([node("Expand", "x r", "e"), node("Relu", "e")], [1, 1], {"r": ints(1, HUGE)}),
    "resize": ([node("Resize", "x r f", "y", mode="nearest")], [1, 1, 2, 2],
               {"r": np.zeros(0, np.float32), "f": np.array([1, 1, 300_000, 300_000], np.float32)}),
    "range": ([node("Range", "a b c", "r"), node("ReduceSum", "r", "t"), node("Add", "x t")], [1, 2],
              {"a": np.float32(0), "b": np.float32(1e11), "c": np.float32(1)}),
    "input": ([node("Relu", "x")], [1, HUGE], {}),
    "one hot": ([node("OneHot", "x d v")], [1, 2], {"d": ints(HUGE), "v": np.array([0, 1], np.float32)}),
    "upsample": ([node("Resize", "x r r s", mode="linear")], [1, 1, 2, 2],
                 {"r": np.zeros(0, np.float32), "s": ints(1, 1, 400_000, 400_000)}),
    "reflect": ([node("Pad", "x p", mode="reflect")], [1, 2], {"p": ints(0, HUGE, 0, 0)}),
    "window of a signal": ([node("HannWindow", "n", "w"), node("ReduceSum", "w", "t"), node("Add", "x t")], [1, 2],
                           {"n": np.array(HUGE)}),
    "sum so far": ([node("Expand", "x r", "e"), node("CumSum", "e a")], [1, 1], {"r": ints(1, HUGE), "a": np.array(1)}),
    "sorted": ([node("Expand", "x r", "e"), node("TopK", "e k", axis=1)], [1, 1], {"r": ints(1, HUGE), "k": ints(1)}),
    "outer": ([node("Einsum", "x x x", equation="ni,nj,nk->nijk")], [1, 4000], {}),
    "choice": ([node("Reshape", "x s", "c"), node("Greater", "c x", "b"), node("Where", "b c x")], [1, 100_000],
               {"s": ints(100_000, 1)}),
    "triangle": ([node("ConstantOfShape", "s", "c"), node("Trilu", "c", "t"), node("ReduceSum", "t", "u"),
                  node("Add", "x u")], [1, 2], {"s": ints(10**6, 10**6)}),
    "unpooled": ([node("MaxUnpool", "x i o", kernel_shape=[2, 2])], [1, 1, 2, 2],
                 {"i": np.zeros((1, 1, 2, 2), np.int64), "o": ints(1, 1, 10**6, 10**6)}),
    "columns": ([node("Col2Im", "x s b")], [1, 4, 1], {"s": ints(10**6, 10**6), "b": ints(2, 2)}),
    "spectrum": ([node("DFT", "x n")], [1, 2, 1], {"n": np.array(HUGE)}),
    "mel": ([node("MelWeightMatrix", "n f r l h", "w"), node("ReduceSum", "w", "t"), node("Add", "x t")], [1, 2],
            {"n": np.array(10**6), "f": np.array(10**9), "r": np.array(8), "l": np.float32(0), "h": np.float32(4)}),
    "table": ([node("Cast", "x", "i", to=TensorProto.INT64), node("Gather", "c i", axis=0)], [1, 100_000],
              {"c": np.zeros((2, 10_000), np.float32)}),
    "many": ([node("ConstantOfShape", "s", "c0"), *(node("Add", f"c{k} c{k}", f"c{k + 1}") for k in range(20)),
              node("ReduceSum", "c20", "t"), node("Add", "x t")], [1, 2], {"s": ints(10**7)}),
    "work": ([node("ConstantOfShape", "s", "c0"), *(node("MatMul", f"c{k} c{k}", f"c{k + 1}") for k in range(12)),
              node("ReduceSum", "c12", "t"), node("Add", "x t")], [1, 2], {"s": ints(3000, 3000)}),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, shape, constants = BOMBS[name]
    if name in ("many", "work"):  # the larger ones would take their time to be met
        monkeypatch.setenv(limits.VARIABLE, "computed=100M work=10G")
    else:
        monkeypatch.setenv(limits.VARIABLE, "computed=64M")
    file = save(tmp_path / "bomb.onnx", nodes, shape, **constants)
    started = time.monotonic()
    with pytest.raises(ModelError, match="needs .* more than the"):
        load_onnx(file)
    assert time.monotonic() - started < 30


def call(op: str, inputs: str, output: str = "y") -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], domain="here")


def with_functions(file: Path, *bodies: list[onnx.NodeProto]) -> Path:
    """A network that calls f0; each body is that of the function with its number, from x to y."""
    save(file, [call("f0", "x")], [1, 2])
    model = onnx.load(file)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("here", 1)]
    model.opset_import.append(opsets[1])
    for number, nodes in enumerate(bodies):
        model.functions.append(helper.make_function("here", f"f{number}", ["x"], ["y"], nodes, opsets))
    file.write_bytes(model.SerializeToString())
    return file


def test_functions_are_written_out(tmp_path: Path) -> None:
    file = with_functions(tmp_path / "net.onnx", [call("f1", "x", "a"), node("Add", "a x")], [node("Relu", "x")])
    assert load_onnx(file)(torch.tensor([[1.0, -1.0]], dtype=torch.float64)).tolist() == [[2, -1]]


@pytest.mark.parametrize("kind", ["twice", "itself", "deep"])
def test_functions_without_end(kind: str, tmp_path: Path) -> None:
    count = {"twice": 40, "itself": 1, "deep": 5000}[kind]
    if kind == "twice":
        bodies = [[call(f"f{k + 1}", "x", "a"), call(f"f{k + 1}", "a")] for k in range(count)]
    else:
        bodies = [[call(f"f{(k + 1) % count if kind == 'itself' else k + 1}", "x")] for k in range(count)]
    file = with_functions(tmp_path / "net.onnx", *bodies, [node("Relu", "x")])
    started = time.monotonic()
    with pytest.raises(ModelError, match="expected functions in"):
        load_onnx(file)
    assert time.monotonic() - started < 30


def test_what_the_output_does_not_need_is_not_run(tmp_path: Path) -> None:
    nodes = [node("ConstantOfShape", "s", "c"), node("ReduceSum", "c", "t"), node("Relu", "x")]
    net = load_onnx(save(tmp_path / "dead.onnx", nodes, [1, 2], s=ints(HUGE)))
    assert net(torch.tensor([[1.0, -1.0]], dtype=torch.float64)).tolist() == [[1, 0]]


def test_sizes_that_do_not_fit_their_numbers(tmp_path: Path) -> None:
    file = save(tmp_path / "net.onnx", [node("Add", "x c")], [1, 2], c=np.ones(2, np.float32))
    model = onnx.load(file)
    model.graph.initializer[0].dims[:] = [HUGE]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="expected numbers in the tensor 'c'"):
        load_onnx(file)


def test_room_counts_what_is_made() -> None:
    with torch.no_grad(), Room() as room:
        x = torch.zeros(10, 10)
        x.t()
        before = room.made
        x @ x
    assert before == 400
    assert room.work == 1000
    with pytest.raises(limits.TooLargeError, match="needs 7.28 TiB"), Room():
        torch.zeros(10**12, dtype=torch.float64)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A network whose weights lie in a file beside it."""
    folder = tmp_path / "net"
    folder.mkdir()
    file = save(folder / "net.onnx", [node("MatMul", "x w")], [1, 2], w=np.eye(2, 3, dtype=np.float32))
    onnx.save_model(onnx.load(file), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return file


def redirect(file: Path, **entries: str) -> None:
    model = onnx.load(file, load_external_data=False)
    tensor = model.graph.initializer[0]
    known = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in known.items():
        tensor.external_data.add(key=key, value=value)
    file.write_bytes(model.SerializeToString())


def test_weights_beside_the_file_are_read(split: Path) -> None:
    assert load_onnx(split)(torch.tensor([[2.0, 3.0]], dtype=torch.float64)).tolist() == [[2, 3, 0]]
    (split.parent / "deeper").mkdir()
    (split.parent / "weights.bin").rename(split.parent / "deeper/weights.bin")
    redirect(split, location="deeper/weights.bin")
    assert load_onnx(split).classes == 3


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"location": "../secret"}, "no name inside"),
        ({"location": "/etc/passwd"}, "no name inside"),
        ({"location": "deeper/../../secret"}, "no name inside"),
        ({"location": "..\\secret"}, "no name inside"),
        ({"location": ""}, "no name inside"),
        ({"location": "link"}, "a link to outside"),
        ({"location": "folder/secret"}, "a link to outside"),
        ({"location": "missing"}, "No such file"),
        ({"location": "pipe"}, "a pipe"),
        ({"offset": "8"}, "are asked for"),
        ({"offset": "-1"}, "are asked for"),
        ({"length": "1000000000000"}, "are asked for"),
        ({"length": "many"}, "invalid literal"),
    ],
)
def test_weights_of_other_places_are_not(entries: dict[str, str], reason: str, split: Path) -> None:
    (split.parent.parent / "secret").write_bytes(bytes(24))
    (split.parent / "link").symlink_to("../secret")
    (split.parent / "folder").symlink_to("..")
    os.mkfifo(split.parent / "pipe")
    redirect(split, **entries)
    with pytest.raises(ModelError, match=f"in a file beside it, found .*{reason}"):
        load_onnx(split)


def test_looking_at_sizes_brings_in_no_compiler(tmp_path: Path) -> None:
    """It takes seconds to import, more than most files take to be read."""
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]), node("Relu", "a", "b"), node("MaxPool", "b", "c",
        kernel_shape=[2, 2], strides=[2, 2]), node("Pad", "c p", "d"), node("Concat", "d d", "e", axis=1),
        node("Sigmoid", "e", "f"), node("Flatten", "f", "g"), node("Softmax", "g"),
    ]  # fmt: skip
    constants = {"w": np.ones((2, 1, 3, 3), np.float32), "p": ints(0, 0, 1, 1, 0, 0, 0, 0)}
    file = save(tmp_path / "net.onnx", nodes, [1, 1, 8, 8], **constants)
    code = (
        "import sys; from pathlib import Path; from adrgd.models.onnx import load_onnx; load_onnx(Path(sys.argv[1])); "
        "sys.exit(any(name in sys.modules for name in ('torch._dynamo', 'sympy')))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(file)], check=False).returncode == 0
