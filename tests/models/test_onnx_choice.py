"""Models of several outputs: which is taken, what is said of it, and classifiers that end in a softmax or a table."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import torch
from onnx import TensorProto, helper, load, numpy_helper, save
from onnx_cases import f32, node

from adrgd.errors import AdrgdWarning, ModelError
from adrgd.models import load_model

WEIGHT = f32(6, 3)


def save_model(path: Path, outputs: dict[str, Any], *, extra: bool = True) -> str:
    """h = x W, and p = softmax(h), a label, and a table of p by class."""
    nodes = [node("MatMul", "x w", "h"), node("Softmax", "h", "p", axis=-1)]
    if extra:
        nodes += [
            node("ArgMax", "h", "label", axis=1, keepdims=0),
            node("ZipMap", "p", "table", domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
        ]
    table = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    infos = [
        helper.make_value_info(name, table) if kind == "table" else helper.make_tensor_value_info(name, kind, None)
        for name, kind in outputs.items()
    ]
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])], infos,
        [numpy_helper.from_array(WEIGHT, "w")],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return str(path)


LABEL, FLOAT = TensorProto.INT64, TensorProto.FLOAT
KINDS: dict[str, dict[str, Any]] = {
    "a label and probabilities": {"label": LABEL, "p": FLOAT},
    "probabilities and a label": {"p": FLOAT, "label": LABEL},
    "a label and a table": {"label": LABEL, "table": "table"},
    "a table": {"table": "table"},
}


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_only_numbers_are_taken(kind: str, x: torch.Tensor, tmp_path: Path) -> None:
    outputs = KINDS[kind]
    name = save_model(tmp_path / "net.onnx", outputs)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", AdrgdWarning)
        model = load_model(name)
    assert len(said) == (len(outputs) > 1)
    assert all("is taken; say another by ?output=NAME" in str(one.message) for one in said)
    torch.testing.assert_close(model(x), (x @ torch.tensor(WEIGHT)).softmax(1), atol=1e-5, rtol=1e-4)


def test_one_of_several_is_named(x: torch.Tensor, tmp_path: Path) -> None:
    name = save_model(tmp_path / "net.onnx", {"p": FLOAT, "h": FLOAT})
    with pytest.raises(ModelError, match=r"found p, h; say which by \?output=NAME"):
        load_model(name)
    for wanted in ("h", "1", "-1"):
        torch.testing.assert_close(
            load_model(f"{name}?output={wanted}")(x), x @ torch.tensor(WEIGHT), atol=1e-5, rtol=1e-4
        )
    for wanted in ("k", "2"):
        with pytest.raises(ModelError, match=f"expected output={wanted} among the outputs of .*, found p, h"):
            load_model(f"{name}?output={wanted}")


def test_logits_are_taken_by_their_name(x: torch.Tensor, tmp_path: Path) -> None:
    name = save_model(tmp_path / "net.onnx", {"p": FLOAT, "h": FLOAT}, extra=False)
    model = load(name)
    for one in model.graph.node:
        one.input[:] = ["logits" if part == "h" else part for part in one.input]
        one.output[:] = ["logits" if part == "h" else part for part in one.output]
    model.graph.output[1].name = "logits"
    save(model, name)
    with pytest.warns(AdrgdWarning, match="logits is taken"):
        torch.testing.assert_close(load_model(name)(x), x @ torch.tensor(WEIGHT), atol=1e-5, rtol=1e-4)


def test_a_final_softmax_is_left_out_for_attacks_and_said(x: torch.Tensor, tmp_path: Path) -> None:
    name = save_model(tmp_path / "net.onnx", {"p": FLOAT}, extra=False)
    assert np.allclose(load_model(name)(x).sum(1), 1)
    with pytest.warns(AdrgdWarning, match="ends in a softmax, which is left out"):
        model = load_model(name, images=(6,))
    torch.testing.assert_close(model(x), x @ torch.tensor(WEIGHT), atol=1e-5, rtol=1e-4)
