"""ONNX files compute here what they do in onnxruntime, for any number of rows at once."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_cases import CASES, IMAGE, VECTOR, f32, ints, model, node
from recorder import Recorder

from adrgd.errors import ModelError
from adrgd.models import load_model
from adrgd.models.onnx import OnnxNet, load_onnx, verify

onnxruntime = pytest.importorskip("onnxruntime")


def load(proto: onnx.ModelProto, folder: Path) -> OnnxNet:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return load_onnx(path)


NEWER = ("ReduceSum of nothing",)


def expected(proto: onnx.ModelProto, row: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": row})[0].reshape(-1)


def assert_batches(proto: onnx.ModelProto, folder: Path) -> None:
    """Three rows at once, in two precisions, are what onnxruntime gives for each of them as the file stands."""
    net = load(proto, folder)
    declared = [dim.dim_value or 1 for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    x = f32(3, *net.input_shape)
    wanted = np.stack([expected(proto, row.reshape(declared)) for row in x])
    for dtype in (torch.float64, torch.float32):
        found = net.to(dtype)(torch.from_numpy(x).to(dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)
    # on another device, where a constant left behind would be an error
    elsewhere = net.to("meta")(torch.empty(x.shape, device="meta"))
    assert elsewhere.shape == wanted.shape


@pytest.mark.parametrize("case", CASES)
def test_an_operator_agrees_with_onnxruntime_row_by_row(case: str, tmp_path: Path) -> None:
    if case in NEWER:
        pytest.importorskip("onnxruntime", "1.20", reason="onnxruntime before 1.20 cannot run this operator")
    nodes, shape, opset, constants = CASES[case]
    assert_batches(model(nodes, shape, opset, **constants), tmp_path)


@pytest.mark.parametrize(
    ("case", "function"),
    [
        ("Relu", torch.relu),
        ("Clip at zero", torch.relu),
        ("Clip 11", torch.clamp),
        ("LeakyRelu", torch.nn.functional.leaky_relu),
        ("PRelu", torch.nn.functional.prelu),
        ("Sigmoid", torch.sigmoid),
        ("Tanh", torch.tanh),
        ("Sign", torch.sign),
    ],
)
def test_a_function_mode_sees_activations(case: str, function: Any, tmp_path: Path) -> None:
    nodes, shape, opset, constants = CASES[case]
    net = load(model(nodes, shape, opset, **constants), tmp_path).float()
    with Recorder() as recorder:
        net(torch.randn(2, *net.input_shape))
    assert function in recorder.seen


def test_the_gradient_is_that_of_the_same_pytorch_module(tmp_path: Path) -> None:
    w, v = f32(3, 2, 3, 3), f32(36, 4)
    nodes = [node("Conv", "x w", "h"), node("Relu", "h", "r"), node("Reshape", "r s", "f"), node("MatMul", "f v")]
    net = load(model(nodes, [1, 2, 6, 5], w=w, v=v, s=ints(1, -1)), tmp_path).float()
    x = torch.randn(3, 2, 6, 5, requires_grad=True)
    same = torch.relu(torch.nn.functional.conv2d(x, torch.from_numpy(w))).flatten(1) @ torch.from_numpy(v)
    (found,), (wanted,) = torch.autograd.grad(net(x).sum(), x), torch.autograd.grad(same.sum(), x)
    torch.testing.assert_close(found, wanted)


def test_flat_rows_are_taken_and_other_shapes_refused(tmp_path: Path) -> None:
    net = load(model([node("Relu")], [1, 1, 1, 5]), tmp_path).float()
    x = torch.randn(3, 5)
    assert torch.equal(net(x), net(x.view(3, 1, 1, 5)))
    with pytest.raises(ModelError, match=r"shape \(1, 1, 5\) each"):
        net(torch.randn(3, 6))


def test_compressed_files_and_their_facts(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx.gz"
    proto = model([node("MatMul", "x w")], VECTOR, w=f32(6, 4))
    path.write_bytes(gzip.compress(proto.SerializeToString()))
    loaded = load_model(str(path))
    assert (loaded.input_shape, loaded.classes) == ((6,), 4)
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())
    assert sorted(tmp_path.iterdir()) == [path]


def test_an_unknown_operator_is_named_with_its_node(tmp_path: Path) -> None:
    proto = model([helper.make_node("Unique", ["x"], ["y"], name="the_node")], VECTOR)
    with pytest.raises(ModelError, match=r"'Unique' of opset 17 \(node 'the_node'\)"):
        load(proto, tmp_path)


@pytest.mark.parametrize(
    ("nodes", "shape", "constants", "words"),
    [
        ([node("Relu")], [1, "height", 3], {}, "fixed sizes"),
        ([node("Relu", "c", "y")], VECTOR, {"c": f32(1, 6)}, "depends on the input"),
        ([node("MatMul", "x w")], VECTOR, {"w": f32(5, 4)}, "does not fit"),
        ([node("Relu")], [8, 6], {}, "batches of exactly 8"),
        ([node("Add", "x nowhere")], VECTOR, {}, "nothing before it computes"),
        ([node("Cast", to=TensorProto.STRING)], VECTOR, {}, "another type"),
        ([node("NonZero")], VECTOR, {}, "computed from the model's input"),
        ([node("Relu", "x", "p y")], IMAGE, {}, "first 1 outputs"),
        ([node("If", "c", "y")], VECTOR, {"c": np.array(True)}, "lacks its condition or one of its two graphs"),
        ([node("Loop", "n c x", "y")], VECTOR, {"n": ints(2), "c": np.array(True)}, "'Loop' of opset 17 .node 'y'."),
    ],
)
def test_graphs_that_cannot_be_run(
    nodes: list[onnx.NodeProto], shape: list[Any], constants: dict[str, np.ndarray], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=words):
        load(model(nodes, shape, **constants), tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an onnx file"])
def test_a_file_of_another_kind(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="expected an ONNX model"):
        load_onnx(tmp_path / "model.onnx")


def test_a_missing_or_truncated_file(tmp_path: Path) -> None:
    (tmp_path / "short.onnx.gz").write_bytes(gzip.compress(b"something")[:-6])
    for name in ("missing.onnx", "short.onnx.gz"):
        with pytest.raises(ModelError, match="readable ONNX file"):
            load_onnx(tmp_path / name)


def test_a_disagreement_with_onnxruntime_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_run", lambda *_: [np.full(6, 5.0)])
    with pytest.raises(ModelError, match="what onnxruntime does"):
        load(model([node("Relu")], VECTOR), tmp_path)


def branch(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.GraphProto:
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return helper.make_graph(
        [*nodes], "branch", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)], held
    )


def test_one_of_two_graphs_is_run_for_each_row(tmp_path: Path) -> None:
    """By a sum over the row; both see what stands outside of them, and use the same names."""
    ways = {
        "then_branch": branch(node("Mul", "x k", "t"), node("Relu", "t", "r"), k=f32(1, 6)),
        "else_branch": branch(node("Sub", "x k", "t"), node("Tanh", "t", "r"), k=f32(1, 6)),
    }
    choice = [node("ReduceSum", "x", "s", keepdims=0), node("Greater", "s z", "c"), node("If", "c", "y", **ways)]
    assert_batches(model(choice, VECTOR, z=np.float32(0)), tmp_path)
    constant = [node("Greater", "one z", "c"), node("If", "c", "y", **ways)]
    assert_batches(model(constant, VECTOR, z=np.float32(0), one=np.float32(1)), tmp_path)


def test_older_files_say_where_axes_begin(tmp_path: Path) -> None:
    """Up to opset 6, which onnxruntime does not run any more."""
    c, x = f32(4), torch.from_numpy(f32(3, 4, 6, 5)).double()
    for op, function in (("Add", torch.add), ("Mul", torch.mul), ("Sub", torch.sub), ("Div", torch.div)):
        net = load(model([node(op, "x c", axis=1, broadcast=1)], IMAGE, 6, c=c), tmp_path)
        wanted = function(x, torch.from_numpy(c).double().reshape(-1, 1, 1))
        torch.testing.assert_close(net(x).view_as(wanted), wanted)


def test_outputs_are_compared_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all digits cancel, as in the difference of two networks, onnxruntime's rounding is no disagreement."""
    nodes = [node("Mul", "x c", "a"), node("Add", "a c", "b"), node("Sub", "b a", "d"), node("Sub", "d c")]
    net = load(model(nodes, VECTOR, c=np.full((1, 6), 12345.678, dtype=np.float32)), tmp_path)
    assert float(net(torch.ones(1, 6, dtype=torch.float64)).abs().max()) < 1e-9
    row = np.array([[1e3, 1e3, 1e3, 1e-2, 1e3, 1e3]], dtype=np.float32)
    proto = model([node("Mul", "x c")], VECTOR, c=row)
    load(proto, tmp_path)
    honest = verify._run
    monkeypatch.setattr(verify, "_run", lambda *args: [out * np.where(row < 1, 1.5, 1) for out in honest(*args)])
    with pytest.raises(ModelError, match=r"output 3"):
        load(proto, tmp_path)


NETWORKS = [
    "cifar10/sri_resnet_a.onnx",
    "vnncomp/acasxu/onnx/ACASXU_run2a_1_2_batch_2000.onnx.gz",
    "vnncomp/cgan/onnx/cGAN_imgSz32_nCh_1.onnx.gz",
    "vnncomp/collins_rul_cnn/onnx/NN_rul_full_window_20.onnx.gz",
    "vnncomp/dist_shift/onnx/mnist_concat.onnx.gz",
    "vnncomp/linearizenn/onnx/AllInOne_10_10.onnx.gz",
    "vnncomp/oval21/onnx/cifar_wide_kw.onnx.gz",
    "vnncomp/rl_benchmarks/onnx/lunarlander.onnx.gz",
    "vnncomp/safenlp/onnx/medical/perturbations_0.onnx.gz",
    "vnncomp/tllverifybench/onnx/tllBench_n=2_N=M=8_m=1_instance_0_0.onnx.gz",
    "vnncomp/traffic_signs_recognition/onnx/3_30_30_QConv_16_3_QConv_32_2_Dense_43_ep_30.onnx.gz",
]


@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_load_agree_and_batch(name: str, assets: Path) -> None:
    if not (assets / name).is_file():
        pytest.skip(f"the folder of trained networks lacks {name}")
    net = load_onnx(assets / name)
    x = torch.rand(3, *net.input_shape, dtype=torch.float64)
    with torch.no_grad():
        together, alone = net(x), torch.cat([net(row) for row in x.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)


def test_weights_of_other_types(tmp_path: Path) -> None:
    nodes = [node("Cast", "w", "v", to=TensorProto.FLOAT), node("Mul", "x v")]
    proto = model(nodes, VECTOR)
    proto.graph.initializer.append(helper.make_tensor("w", TensorProto.BFLOAT16, [2], [0.5, 3.0]))
    proto.graph.node.insert(0, node("Concat", "w w w", "u", axis=0))
    proto.graph.node[1].input[0] = "u"
    net = load(proto, tmp_path)
    assert net(torch.ones(1, 6, dtype=torch.float64)).tolist() == [[0.5, 3.0] * 3]
    proto.graph.initializer[0].CopyFrom(helper.make_tensor("w", TensorProto.STRING, [2], ["a", "b"]))
    with pytest.raises(ModelError, match="expected numbers"):
        load(proto, tmp_path)
